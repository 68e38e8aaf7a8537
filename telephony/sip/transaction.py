"""What a transaction puts out (RFC 3261 section 17); the four machines are in modules of their own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from telephony.sip.flow import Transmit
from telephony.sip.message import Response


class Failure(Enum):
    """Why a client transaction ended without a final response; section 8.1.3.1 gives the status."""

    TIMEOUT = auto()  # as if 408 had come
    TRANSPORT = auto()  # as if 503 had come


@dataclass(frozen=True, slots=True)
class Delivered:
    """A response for the transaction's user."""

    response: Response


@dataclass(frozen=True, slots=True)
class Failed:
    """The request got no final response."""

    failure: Failure


TransactionOutput: TypeAlias = Transmit | Delivered | Failed
