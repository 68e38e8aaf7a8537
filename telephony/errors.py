"""What can go wrong in telephony.

TelephonyError
├── LegEndedError        the call is over; stop using the leg           (nobody's fault, do not retry)
├── LocalProtocolError   we asked for what the state does not allow      (our bug, do not retry)
│   └── AudioFormatError a frame of the wrong size
├── RemoteProtocolError  the peer broke the protocol                     (theirs; answer and go on)
│   ├── SipParseError    carries the status to answer with
│   ├── SdpError         an offer or answer that we cannot take
│   └── RtpParseError    a datagram that is not RTP or RTCP
├── TransferFailedError  the far end would not or could not; the call goes on  (theirs; tell the caller)
├── ForbiddenTargetError a destination that [sip] outbound_allowed does not name (our settings, do not retry)
└── CapacityError        out of ports or calls                           (retry later)
"""

from __future__ import annotations


class TelephonyError(Exception):
    """Base of all telephony errors; `retryable` says whether the same call may work later."""

    retryable = False


class LegEndedError(TelephonyError):
    """The call is over."""


class LocalProtocolError(TelephonyError):
    """We asked for something that the state does not allow."""


class AudioFormatError(LocalProtocolError):
    """A frame that is not 20 ms of PCM16 at the agreed rate."""


class RemoteProtocolError(TelephonyError):
    """The peer broke the protocol."""


class SipParseError(RemoteProtocolError):
    """A message that is not SIP; `status` is what RFC 3261 asks us to answer (0: stay silent)."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class SdpError(RemoteProtocolError):
    """An offer or answer that we cannot take; `status` is 400 (malformed) or 488 (not acceptable)."""

    def __init__(self, message: str, *, status: int = 488) -> None:
        super().__init__(message)
        self.status = status


class RtpParseError(RemoteProtocolError):
    """A datagram that is neither RTP nor RTCP."""


class TransferFailedError(TelephonyError):
    """The caller could not be handed over, and is still here; `status` is the SIP status, 0 where there is none."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ForbiddenTargetError(TelephonyError):
    """A destination that the settings do not name."""


class CapacityError(TelephonyError):
    """Out of ports or calls; `retry_after_s` is a hint."""

    retryable = True

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
