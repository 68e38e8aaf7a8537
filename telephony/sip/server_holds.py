"""`ServerHolds`: which servers are let be for a while, and which are asked last (RFC 3261 section 21.5.4, RFC 3263)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from telephony.sip.flow import Flow

SUSPECT_S = 30.0
"""How long a server that was silent, or could not be reached, is asked after all others."""

MAX_HOLD_S = 3600.0
"""What a Retry-After is believed at most."""

_MAX_SERVERS = 1_000
_Server: TypeAlias = tuple[str, str, int]


@dataclass(slots=True)
class _Hold:
    barred_until: float = 0.0
    suspect_until: float = 0.0


class ServerHolds:
    """What servers have lately said and failed to say. Times are seconds."""

    def __init__(self) -> None:
        self._holds: OrderedDict[_Server, _Hold] = OrderedDict()

    def failed(self, server: Flow, *, retry_after_s: float, now: float) -> None:
        """Note a failure; `retry_after_s` is how long the server asks to be left alone, 0 where it says nothing."""
        hold = self._holds.pop(_name(server), None) or _Hold()
        if retry_after_s:
            hold.barred_until = max(hold.barred_until, now + min(retry_after_s, MAX_HOLD_S))
        hold.suspect_until = max(hold.barred_until, now + SUSPECT_S)
        self._holds[_name(server)] = hold
        if len(self._holds) > _MAX_SERVERS:
            self._holds.popitem(last=False)

    def order(self, servers: Iterable[Flow], *, now: float) -> tuple[Flow, ...]:
        """Leave out those that are to be left alone, and put those that failed lately last."""
        open_ = [server for server in servers if self._hold(server).barred_until <= now]
        return tuple(sorted(open_, key=lambda server: self._hold(server).suspect_until > now))

    def free_in_s(self, servers: Iterable[Flow], *, now: float) -> float:
        """Tell in how many seconds the first of them may be asked again; 0: now."""
        return max(0.0, min((self._hold(server).barred_until - now for server in servers), default=0.0))

    def _hold(self, server: Flow) -> _Hold:
        return self._holds.get(_name(server)) or _Hold()


def _name(server: Flow) -> _Server:
    return server.transport, server.host, server.port
