"""`EdgeSip`: the public SIP sockets and the way from them to each worker."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network

import structlog
from prometheus_client.metrics_core import CounterMetricFamily, Metric

from bot.edge.children import Inheritance
from bot.errors import ServiceStartError
from telephony.settings import SipSettings
from telephony.sip.dispatch import SipDispatcher
from telephony.sip.sockets import SipSockets, gate_limits
from telephony.sip.source_gate import SourceGate
from telephony.sip.toll_gate import TollGate
from telephony.sip.toll_guard import TollGuard, TollLimits

_log = structlog.get_logger("zeng.edge")


def warning(settings: SipSettings) -> str | None:
    """Say what an operator may have overlooked: a port that is open to a network of which nobody is named."""
    try:
        beyond = not ip_address(settings.host).is_loopback
    except ValueError:
        return None  # a name; what it resolves to is not known yet
    if beyond and all(ip_network(source).is_loopback for source in settings.allowed_sources):
        return "SIP listens to the network, and [sip] allowed_sources names this machine alone: nobody else is answered"
    return None


class EdgeSip:
    """Sockets, dispatcher, and a socket pair for every start of a worker."""

    def __init__(self, sockets: SipSockets, dispatcher: SipDispatcher, port: int) -> None:
        self._sockets = sockets
        self._dispatcher = dispatcher
        self.port = port

    @classmethod
    async def open(
        cls,
        settings: SipSettings,
        *,
        call_limit_s: float,
        pick: Callable[[], int | None],
        on_worker_lost: Callable[[int], None],
    ) -> EdgeSip:
        """Listen. Raises `ServiceStartError` when the address is in use, `LocalProtocolError` for false prices."""
        sockets = SipSockets(gate=SourceGate(gate_limits(settings)))
        try:
            _, port = await sockets.open(settings.host, settings.port, tcp=settings.tcp)
        except OSError as error:
            raise ServiceStartError(
                f"cannot listen for SIP on {settings.host}:{settings.port} ({error.strerror}); set [sip] port"
            ) from error
        if (overlooked := warning(settings)) is not None:
            _log.warning(overlooked)
        limits = TollLimits(settings.toll_calls_per_minute, settings.toll_money_per_day, call_limit_s)
        toll = TollGate(TollGuard(settings.toll_prices, limits)) if settings.toll_prices else None
        dispatcher = SipDispatcher(sockets, pick_worker=pick, on_worker_lost=on_worker_lost, toll=toll)
        return cls(sockets, dispatcher, port)

    def inheritance(self, index: int) -> Inheritance:
        """Make a socket pair for a worker that is about to start; its older one, if any, is dropped."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._dispatcher.remove_worker(index)
        self._dispatcher.add_worker(index, ours)
        fd = theirs.fileno()
        return Inheritance(("--sip-fd", str(fd), "--sip-port", str(self.port)), (fd,), theirs.close)

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told: messages that were kept out, and those that could not be read."""
        kept = CounterMetricFamily("zeng_sip_kept_out", "SIP messages that did not pass the gate", labels=["why"])
        for why, count in self._sockets.gate.kept.items():
            kept.add_metric([why.value], count)
        yield kept
        refused = self._dispatcher.refused_messages
        yield CounterMetricFamily("zeng_sip_malformed", "SIP messages that could not be read", value=refused)

    async def close(self) -> None:
        """Close all sockets."""
        await self._dispatcher.close()
        await self._sockets.close()
