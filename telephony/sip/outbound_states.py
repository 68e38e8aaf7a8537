"""States of a call that we place and all their transitions (RFC 3261 sections 8.1.3.4, 9.1, 13.2, 22)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto


class State(Enum):
    """States of the machine."""

    CALLING = auto()  # no response yet
    PROCEEDING = auto()
    CANCEL_WANTED = auto()  # section 9.1: CANCEL waits for the first provisional response
    CANCELLING = auto()
    REDIRECTED = auto()  # the user is asked whether the next target may be called
    ANSWERED = auto()  # its session has a machine of its own
    ENDED = auto()


class Cause(Enum):
    """What moves the machine."""

    PROVISIONAL = auto()
    CHALLENGE = auto()  # 401 or 407 that we can answer, 422 that we can heed
    NEXT_SERVER = auto()  # this one failed, and there is another (RFC 3263 section 4.3)
    REDIRECT = auto()  # 300, 301 or 302, or the target before did not want the call
    FOLLOW = auto()
    ACCEPT = auto()
    REJECT = auto()
    FAIL = auto()  # no final response
    HANG_UP = auto()
    CANCEL_TIMEOUT = auto()
    SESSION_CLOSED = auto()


TABLE: Mapping[tuple[State, Cause], State] = {
    (State.CALLING, Cause.PROVISIONAL): State.PROCEEDING,
    (State.CALLING, Cause.CHALLENGE): State.CALLING,
    (State.CALLING, Cause.NEXT_SERVER): State.CALLING,
    (State.CALLING, Cause.REDIRECT): State.REDIRECTED,
    (State.CALLING, Cause.ACCEPT): State.ANSWERED,
    (State.CALLING, Cause.REJECT): State.ENDED,
    (State.CALLING, Cause.FAIL): State.ENDED,
    (State.CALLING, Cause.HANG_UP): State.CANCEL_WANTED,
    (State.PROCEEDING, Cause.PROVISIONAL): State.PROCEEDING,
    (State.PROCEEDING, Cause.CHALLENGE): State.CALLING,
    (State.PROCEEDING, Cause.NEXT_SERVER): State.CALLING,
    (State.PROCEEDING, Cause.REDIRECT): State.REDIRECTED,
    (State.PROCEEDING, Cause.ACCEPT): State.ANSWERED,
    (State.PROCEEDING, Cause.REJECT): State.ENDED,
    (State.PROCEEDING, Cause.HANG_UP): State.CANCELLING,
    (State.REDIRECTED, Cause.REDIRECT): State.REDIRECTED,
    (State.REDIRECTED, Cause.FOLLOW): State.CALLING,
    (State.REDIRECTED, Cause.REJECT): State.ENDED,
    (State.REDIRECTED, Cause.HANG_UP): State.ENDED,
    (State.CANCEL_WANTED, Cause.PROVISIONAL): State.CANCELLING,
    (State.CANCEL_WANTED, Cause.ACCEPT): State.ANSWERED,
    (State.CANCEL_WANTED, Cause.REJECT): State.ENDED,
    (State.CANCEL_WANTED, Cause.FAIL): State.ENDED,
    (State.CANCELLING, Cause.PROVISIONAL): State.CANCELLING,
    (State.CANCELLING, Cause.ACCEPT): State.ANSWERED,  # the 200 crossed our CANCEL: ACK, then BYE
    (State.CANCELLING, Cause.REJECT): State.ENDED,
    (State.CANCELLING, Cause.CANCEL_TIMEOUT): State.ENDED,
    (State.ANSWERED, Cause.SESSION_CLOSED): State.ENDED,
}
