"""What the user agent puts out: bytes to send, and what happened to calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from telephony.leg import DigitReceived, EndCause
from telephony.media import MediaParameters
from telephony.sip.flow import Flow, Transmit
from telephony.sip.message import Request


@dataclass(frozen=True, slots=True)
class CallOffered:
    """A call came in and rings; `answer` or `reject` it."""

    handle: str  # our own name for the call, 32 hex digits
    invite: Request


@dataclass(frozen=True, slots=True)
class CallRinging:
    """The far end of a call that we placed answered 101 to 199."""

    handle: str
    status: int


@dataclass(frozen=True, slots=True)
class MediaAgreed:
    """An offer/answer exchange is complete: the first one starts media, later ones change it."""

    handle: str
    parameters: MediaParameters


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """A key press came in INFO."""

    handle: str
    digit: DigitReceived


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over for its user; comes once for each call."""

    handle: str
    cause: EndCause
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CallForgotten:
    """Nothing of the call is left here; comes after `CallEnded`."""

    handle: str
    sip_call_id: str


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """A message was not SIP, or not sound; it was answered where that was possible."""

    flow: Flow
    reason: str


CallEvent: TypeAlias = CallRinging | MediaAgreed | DigitPressed | CallEnded | CallForgotten
UserAgentOutput: TypeAlias = Transmit | CallOffered | CallEvent | MessageRefused
