"""What a trunk is told, and what it puts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from telephony.sip.auth import Credentials
from telephony.sip.flow import Flow
from telephony.sip.identity import Identity
from telephony.sip.message import Request


@dataclass(frozen=True, slots=True)
class TrunkConfig:
    """What one trunk is told."""

    name: str
    domain: str
    identity: Identity  # its user is that of our address of record
    credentials: Credentials | None = None
    registers: bool = True
    outbound: bool = False
    expires_s: int = 300
    keep_alive_s: float = 25.0
    options_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TrunkRoute:
    """How a call goes out by a trunk that is up."""

    flow: Flow
    domain: str
    user: str
    service_route: tuple[str, ...] = ()  # RFC 3608
    others: tuple[Flow, ...] = ()  # servers to try where that one fails, in their order


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A request that wants a transaction."""

    request: Request
    flow: Flow


@dataclass(frozen=True, slots=True)
class SendKeepAlive:
    """A CRLF CRLF that wants none."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class ServersWanted:
    """The addresses of the trunk's servers are needed."""

    name: str


@dataclass(frozen=True, slots=True)
class TrunkChanged:
    """The trunk came up or went down; `detail` says why it is down."""

    name: str
    up: bool
    detail: str = ""


TrunkOutput: TypeAlias = SendRequest | SendKeepAlive | ServersWanted | TrunkChanged
