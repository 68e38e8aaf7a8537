"""`EdgeSip`: the public SIP sockets and the way from them to each worker."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address, ip_network

import structlog
from prometheus_client.metrics_core import CounterMetricFamily, Metric

from bot.edge.children import Inheritance
from bot.errors import ServiceStartError
from telephony.errors import TelephonyError
from telephony.media import MediaAbilities
from telephony.settings import SipSettings
from telephony.sip.dispatch import Look, SipDispatcher, let_pass
from telephony.sip.from_settings import new_token, resolver_of, user_agent_config
from telephony.sip.inspection import inspect_early
from telephony.sip.sdp import AddressType
from telephony.sip.sockets import SipSockets, gate_limits
from telephony.sip.source_gate import SourceGate
from telephony.sip.tls import tls_contexts
from telephony.sip.toll_gate import TollGate
from telephony.sip.toll_guard import TollGuard, TollLimits
from telephony.sip.trunk_endpoint import TrunkEndpoint
from telephony.sip.trunk_events import TrunkRoute

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


def offer_look(settings: SipSettings, abilities: MediaAbilities) -> Look:
    """Have an offer that no call could serve refused at once; where callers give passwords, those come first."""
    family: AddressType = "IP6" if ":" in settings.host else "IP4"
    return lambda request, flow: inspect_early(
        request, transport=flow.transport, address_type=family, abilities=abilities
    )


class EdgeSip:
    """Sockets, dispatcher, and a socket pair for every start of a worker."""

    def __init__(
        self, sockets: SipSockets, dispatcher: SipDispatcher, trunks: TrunkEndpoint, toll: TollGate | None
    ) -> None:
        self._toll = toll
        self._sockets = sockets
        self._dispatcher = dispatcher
        self._trunks = trunks
        self.port = sockets.address[1]

    @classmethod
    async def open(
        cls,
        settings: SipSettings,
        *,
        call_limit_s: float,
        abilities: MediaAbilities,
        pick: Callable[[], int | None],
        on_worker_lost: Callable[[int], None],
    ) -> EdgeSip:
        """Listen. `abilities` are every call's. Raises `ServiceStartError` for a false setting or a taken port."""
        try:
            limits = TollLimits(settings.toll_calls_per_minute, settings.toll_money_per_day, call_limit_s)
            toll = TollGate(TollGuard(settings.toll_prices, limits)) if settings.toll_prices else None
            sockets = SipSockets(gate=SourceGate(gate_limits(settings)), tls=tls_contexts(settings.tls))
            await sockets.open(settings.host, settings.port, tcp=settings.tcp, tls_port=settings.tls.port)
        except TelephonyError as error:
            raise ServiceStartError(str(error)) from error
        except OSError as error:
            raise ServiceStartError(
                f"cannot listen for SIP on {settings.host}:{settings.port} ({error.strerror}); set [sip] host, port, "
                "or [sip.tls] port"
            ) from error
        if (overlooked := warning(settings)) is not None:
            _log.warning(overlooked)
        look = let_pass if settings.digest_users else offer_look(settings, abilities)
        dispatcher = SipDispatcher(sockets, pick_worker=pick, on_worker_lost=on_worker_lost, toll=toll, look=look)
        try:
            agent = user_agent_config(settings, port=sockets.address[1], tls_port=sockets.tls_port)
            trunks = TrunkEndpoint(
                settings,
                agent.identity,
                transmit=sockets.transmit,
                resolver=resolver_of(settings),
                new_token=new_token,
                family=agent.address_type,
            )
        except TelephonyError as error:
            await dispatcher.close()
            raise ServiceStartError(str(error)) from error
        dispatcher.attach_trunks(trunks)
        return cls(sockets, dispatcher, trunks, toll)

    def register(self) -> None:
        """Begin to register with the trunks: calls may come in from now on."""
        self._trunks.start()

    def route(self, trunk: str) -> TrunkRoute | None:
        """How calls go out by a trunk; None while it is down. Raises `KeyError` for one that is not known."""
        return self._trunks.route(trunk)

    async def leave(self) -> None:
        """Take our bindings back: the trunks send no more calls here."""
        await self._trunks.close()

    @property
    def trunks_up(self) -> Mapping[str, bool]:
        """Which trunks can take calls, by their names."""
        return self._trunks.up

    def inheritance(self, index: int) -> Inheritance:
        """Make a socket pair for a worker that is about to start; its older one, if any, is dropped."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._dispatcher.remove_worker(index)
        self._dispatcher.add_worker(index, ours)
        fd = theirs.fileno()
        ports = ("--sip-port", str(self.port), "--sip-tls-port", str(self._sockets.tls_port))
        return Inheritance(("--sip-fd", str(fd), *ports), (fd,), theirs.close)

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told: messages that came to nothing, and calls that were refused."""
        kept = CounterMetricFamily("zeng_sip_kept_out", "SIP messages that did not pass the gate", labels=["why"])
        for why, count in self._sockets.gate.kept.items():
            kept.add_metric([why.value], count)
        yield kept
        unread, full = self._dispatcher.refused_messages, self._dispatcher.refused_calls
        yield CounterMetricFamily("zeng_sip_malformed", "SIP messages that could not be read", value=unread)
        unsent = self._sockets.dropped
        yield CounterMetricFamily("zeng_sip_unsent", "SIP messages that the system did not take", value=unsent)
        yield CounterMetricFamily("zeng_sip_full", "Calls refused because no worker had a place", value=full)
        dear = CounterMetricFamily("zeng_sip_toll_refused", "Calls out that the toll caps refused", labels=["why"])
        for reason, count in self._toll.refused.items() if self._toll is not None else ():
            dear.add_metric([reason.value], count)
        yield dear

    async def close(self) -> None:
        """Close all sockets."""
        await self._trunks.close()
        await self._dispatcher.close()
        await self._sockets.close()
