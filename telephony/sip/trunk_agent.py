"""`TrunkAgent`: every trunk of one edge over one transaction layer, without a socket or a clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from telephony.errors import SipParseError
from telephony.sip.flow import Flow, Transmit
from telephony.sip.message import parse_message
from telephony.sip.timers import Schedule, Timings
from telephony.sip.transactions import RequestFailed, ResponseReceived, TransactionLayer
from telephony.sip.trunk import State, Trunk
from telephony.sip.trunk_events import SendKeepAlive, SendRequest, ServersWanted, TrunkChanged, TrunkConfig, TrunkRoute

TrunkAgentOutput: TypeAlias = Transmit | ServersWanted | TrunkChanged

KEEP_ALIVE = b"\r\n\r\n"


class TrunkAgent:
    """Feed it, then `poll` until None, then sleep until `timer_at()`."""

    def __init__(
        self, configs: Sequence[TrunkConfig], *, new_token: Callable[[], str], timings: Timings | None = None
    ) -> None:
        self._transactions = TransactionLayer(timings=timings or Timings())
        self._trunks = {config.name: Trunk(config, new_token=new_token) for config in configs}
        self._call_ids = frozenset(trunk.call_id for trunk in self._trunks.values())
        self._schedule: Schedule[str] = Schedule()
        self._output: deque[TrunkAgentOutput] = deque()
        for name in self._trunks:
            self._settle(name)

    def owns(self, call_id: str) -> bool:
        """Whether a message with this Call-ID is for a trunk."""
        return call_id in self._call_ids

    @property
    def closed(self) -> bool:
        """Whether every trunk has been left."""
        return all(trunk.state is State.CLOSED for trunk in self._trunks.values())

    def route(self, name: str) -> TrunkRoute | None:
        """How calls go out by a trunk; None while it is down. Raises `KeyError` for one that is not known."""
        return self._trunks[name].route

    def poll(self) -> TrunkAgentOutput | None:
        """Next output."""
        return self._output.popleft() if self._output else None

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        times = (self._transactions.timer_at(), self._schedule.next_at())
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        self._transactions.handle_timer(now=now)
        while (name := self._schedule.pop_due(now)) is not None:
            self._trunks[name].handle_timer(now=now)
            self._settle(name, now)
        self._pump(now)

    def servers_found(self, name: str, servers: Sequence[Flow], *, now: float) -> None:
        """See `Trunk.servers_found`."""
        self._trunks[name].servers_found(servers, now=now)
        self._settle(name, now)
        self._pump(now)

    def receive(self, data: bytes, source: Flow, *, now: float) -> None:
        """Take one message that `owns` said yes to, or a keep-alive's answer. Never raises for what it holds."""
        if not data.strip(b"\r\n\x00 "):
            for trunk in self._trunks.values():
                trunk.ponged(source)
            return
        try:
            self._transactions.receive(parse_message(data), source, now=now)
        except SipParseError:
            return
        self._pump(now)

    def flow_lost(self, flow: Flow, *, now: float) -> None:
        """Note that a connection broke or could not be opened."""
        self._transactions.flow_lost(flow)
        self._pump(now)
        for name, trunk in self._trunks.items():
            trunk.flow_lost(flow, now=now)
            self._settle(name, now)
        self._pump(now)

    def leave(self, *, now: float) -> None:
        """Take every binding back."""
        for name, trunk in self._trunks.items():
            trunk.leave()
            self._settle(name, now)
        self._pump(now)

    def _settle(self, name: str, now: float = 0.0) -> None:
        trunk = self._trunks[name]
        while (output := trunk.poll()) is not None:
            match output:
                case SendRequest(request, flow):
                    self._transactions.send(request, flow, owner=name, now=now)
                case SendKeepAlive(flow):
                    self._output.append(Transmit(KEEP_ALIVE, flow))
                case _:
                    self._output.append(output)
        self._schedule.set(name, trunk.timer_at())

    def _pump(self, now: float) -> None:
        while (output := self._transactions.poll()) is not None:
            match output:
                case Transmit():
                    self._output.append(output)
                case ResponseReceived(name, _, response):
                    self._trunks[name].receive_response(response, now=now)
                    self._settle(name, now)
                case RequestFailed(name, key):
                    self._trunks[name].request_failed(key.branch, now=now)
                    self._settle(name, now)
                case _:
                    pass  # a request within a dialog of ours: we have none
