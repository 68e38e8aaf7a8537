"""`Flow`: where a message came from or goes to, and `Transmit`: bytes that go there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Transport: TypeAlias = Literal["udp", "tcp"]


@dataclass(frozen=True, slots=True)
class Flow:
    """One peer address over one transport, as whoever owns the sockets names it."""

    transport: Transport
    host: str  # a numeric address, IPv6 without brackets
    port: int
    connection: int = 0  # names a TCP connection; 0: one to this address is to be opened or found

    @property
    def reliable(self) -> bool:
        """Whether the transport itself delivers (RFC 3261 section 17)."""
        return self.transport == "tcp"


@dataclass(frozen=True, slots=True)
class Transmit:
    """One message, ready to be sent."""

    data: bytes
    flow: Flow
