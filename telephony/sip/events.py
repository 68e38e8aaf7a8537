"""What the user agent puts out: bytes to send, and what happened to calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from telephony.leg import DigitReceived, EndCause
from telephony.media import MediaParameters
from telephony.sip.flow import Flow, Transmit
from telephony.sip.message import Request
from telephony.sip.transfer import Outcome
from telephony.sip.uri import SipUri


@dataclass(frozen=True, slots=True)
class CallOffered:
    """A call came in and rings; `answer` or `reject` it."""

    handle: str  # our own name for the call, 32 hex digits
    invite: Request
    flow: Flow  # where it came from


@dataclass(frozen=True, slots=True)
class CallRinging:
    """The far end of a call that we placed answered 101 to 199."""

    handle: str
    status: int


@dataclass(frozen=True, slots=True)
class CallRedirected:
    """The far end of a call that we placed is elsewhere: `follow` it, or say that it is not to be followed."""

    handle: str
    target: SipUri


@dataclass(frozen=True, slots=True)
class ServerFailed:
    """A server did not take our INVITE: it was silent, out of reach, or has no service to give."""

    handle: str
    server: Flow
    retry_after_s: float = 0.0  # how long it asks to be left alone; 0: it says nothing


@dataclass(frozen=True, slots=True)
class MediaAgreed:
    """An offer/answer exchange is complete: the first one starts media, later ones change it."""

    handle: str
    parameters: MediaParameters
    early: bool = False  # before the answer: a tone, an announcement (RFC 3960)


@dataclass(frozen=True, slots=True)
class CallConfirmed:
    """The ACK for a 200 of ours is here, so the caller is where it said: nobody else knows the tag that it repeats."""

    handle: str


@dataclass(frozen=True, slots=True)
class TransferEnded:
    """A transfer that we asked for came to its end; where it succeeded `CallEnded` follows."""

    handle: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """A key press came in INFO."""

    handle: str
    digit: DigitReceived


@dataclass(frozen=True, slots=True)
class KeysSent:
    """Keys that we sent by INFO: how many of them the far end took, and the status that ended it."""

    handle: str
    sent: int
    status: int


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over for its user; comes once for each call."""

    handle: str
    cause: EndCause
    detail: str = ""
    q850: int | None = field(default=None, compare=False)  # what the far end gave, or its status stands for
    status: int = field(default=0, compare=False)  # of the response that refused our INVITE; 0: none did


@dataclass(frozen=True, slots=True)
class CallReplaced:
    """The call goes on with another peer, under another Call-ID (RFC 3891); `MediaAgreed` follows."""

    handle: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ReferAsked:
    """The far end asks us to call somebody in its place: `refer` where that may be, and by which way."""

    handle: str
    target: SipUri


@dataclass(frozen=True, slots=True)
class TargetCalled:
    """Whom we were referred to is called by this Call-ID; `CallReplaced` follows when it has answered."""

    handle: str
    sip_call_id: str


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


_Progress: TypeAlias = CallRinging | CallRedirected | ServerFailed | MediaAgreed | CallConfirmed
CallEvent: TypeAlias = _Progress | DigitPressed | KeysSent | TransferEnded | ReferAsked | CallEnded | CallForgotten
UserAgentOutput: TypeAlias = Transmit | CallOffered | CallReplaced | TargetCalled | CallEvent | MessageRefused
