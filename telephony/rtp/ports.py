"""Pool of port pairs: RTP on an even port, RTCP on the next (RFC 3550 section 11)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import ceil

from telephony.errors import CapacityError, LocalProtocolError


class PortPool:
    """Hands out each even port once; one given back rests `quarantine_s`: no late packet of its last call is heard.

    `shuffle` orders the ports, so that they cannot be guessed from one another.
    """

    def __init__(
        self, *, port_min: int, port_max: int, shuffle: Callable[[list[int]], None], quarantine_s: float = 5.0
    ) -> None:
        ports = list(range(port_min + port_min % 2, port_max, 2))
        if not ports:
            raise ValueError(f"no pair of ports from {port_min} to {port_max}: widen [rtp] port_min and port_max")
        shuffle(ports)
        self._free = deque((float("-inf"), port) for port in ports)  # (rested at, port), soonest first
        self._taken: set[int] = set()
        self._quarantine_s = quarantine_s

    @property
    def taken(self) -> int:
        """Ports in use."""
        return len(self._taken)

    def take(self, *, now: float) -> int:
        """Take an even port; raises `CapacityError` when none is free and rested."""
        if not self._free:
            raise CapacityError("all RTP ports are in use: widen [rtp] port_min and port_max")
        rested_at, port = self._free[0]
        if now < rested_at:
            raise CapacityError("all free RTP ports still rest", retry_after_s=ceil(rested_at - now))
        self._free.popleft()
        self._taken.add(port)
        return port

    def give_back(self, port: int, *, now: float) -> None:
        """Return a port taken before."""
        if port not in self._taken:
            raise LocalProtocolError(f"port {port} was not taken from this pool")
        self._taken.remove(port)
        self._free.append((now + self._quarantine_s, port))
