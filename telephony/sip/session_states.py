"""States of an established call and all its transitions (RFC 3261 sections 12.2, 13.3.1.4, 14, 15)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto


class State(Enum):
    """States of the machine."""

    CONFIRMED = auto()  # no INVITE is in progress
    AWAITING_ACK = auto()  # we answered an INVITE with 2xx
    OFFERING = auto()  # our re-INVITE has no final response
    CLOSING_UNACKED = auto()  # we hang up once the ACK is here: section 15 forbids BYE before it
    CLOSING = auto()  # our BYE has no final response
    CLOSED = auto()


class Cause(Enum):
    """What moves the machine."""

    ACCEPTED = auto()  # we answer an INVITE with 2xx
    ACKED = auto()
    ACK_TIMEOUT = auto()
    OFFERED = auto()  # we send a re-INVITE
    OFFER_ANSWERED = auto()  # it has a final response
    HANG_UP = auto()
    BYE_RECEIVED = auto()
    BYE_ANSWERED = auto()  # or given up


TABLE: Mapping[tuple[State, Cause], State] = {
    (State.CONFIRMED, Cause.ACCEPTED): State.AWAITING_ACK,
    (State.CONFIRMED, Cause.OFFERED): State.OFFERING,
    (State.CONFIRMED, Cause.HANG_UP): State.CLOSING,
    (State.CONFIRMED, Cause.BYE_RECEIVED): State.CLOSED,
    (State.AWAITING_ACK, Cause.ACCEPTED): State.AWAITING_ACK,  # a new INVITE shows that the 2xx arrived
    (State.AWAITING_ACK, Cause.ACKED): State.CONFIRMED,
    (State.AWAITING_ACK, Cause.ACK_TIMEOUT): State.CLOSING,
    (State.AWAITING_ACK, Cause.HANG_UP): State.CLOSING_UNACKED,
    (State.AWAITING_ACK, Cause.BYE_RECEIVED): State.CLOSED,
    (State.OFFERING, Cause.OFFER_ANSWERED): State.CONFIRMED,
    (State.OFFERING, Cause.HANG_UP): State.CLOSING,
    (State.OFFERING, Cause.BYE_RECEIVED): State.CLOSED,
    (State.CLOSING_UNACKED, Cause.ACKED): State.CLOSING,
    (State.CLOSING_UNACKED, Cause.ACK_TIMEOUT): State.CLOSING,
    (State.CLOSING_UNACKED, Cause.BYE_RECEIVED): State.CLOSED,
    (State.CLOSING, Cause.BYE_RECEIVED): State.CLOSED,
    (State.CLOSING, Cause.BYE_ANSWERED): State.CLOSED,
}
