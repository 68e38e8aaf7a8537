"""`Flow`: where a message came from or goes to, and `Transmit`: bytes that go there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Transport: TypeAlias = Literal["udp", "tcp", "tls"]

DEFAULT_PORT: Mapping[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061}
"""RFC 3261 section 18.2.1 and 19.1.2."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One peer address over one transport, as whoever owns the sockets names it."""

    transport: Transport
    host: str  # a numeric address, IPv6 without brackets
    port: int
    connection: int = 0  # names a connection; 0: one to this address is to be opened or found
    server_name: str = ""  # whom the peer's certificate has to name (RFC 5922); empty: `host`

    @property
    def reliable(self) -> bool:
        """Whether the transport itself delivers (RFC 3261 section 17)."""
        return self.transport != "udp"


@dataclass(frozen=True, slots=True)
class Transmit:
    """One message, ready to be sent."""

    data: bytes
    flow: Flow
