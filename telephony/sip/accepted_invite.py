"""`AcceptedInvite`: a 2xx that is repeated until its ACK comes (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from enum import Enum, auto

from telephony.sip.message import Request, Response
from telephony.sip.timers import Timer, TimerSet, Timings
from telephony.sip.transactions import ServerKey


class Due(Enum):
    """What has to be done about the 2xx."""

    RESEND = auto()
    GIVE_UP = auto()  # 64*T1 without an ACK: the caller ends the session


class AcceptedInvite:
    """Waits for one ACK. The 2xx is repeated over TCP too, since a hop further on may lose it."""

    def __init__(self, key: ServerKey, response: Response, *, timings: Timings, now: float) -> None:
        self.key = key
        self.response = response
        self._timings = timings
        self._gap_s = timings.t1_s
        self._timers = TimerSet()
        self._timers.start(Timer.RESEND_OK, now + self._gap_s)
        self._timers.start(Timer.ACK_WAIT, now + timings.give_up_s)

    def is_acked_by(self, ack: Request) -> bool:
        """Whether an ACK of the dialog is the one that is waited for."""
        return ack.cseq.number == self.response.cseq.number

    def timer_at(self) -> float | None:
        """When `pop_due` has something."""
        return self._timers.next_at()

    def pop_due(self, *, now: float) -> Due | None:
        """Let time pass: what is to be done, or None."""
        match self._timers.pop_due(now):
            case Timer.RESEND_OK:
                self._gap_s = min(2 * self._gap_s, self._timings.t2_s)
                self._timers.start(Timer.RESEND_OK, now + self._gap_s)
                return Due.RESEND
            case Timer.ACK_WAIT:
                self._timers.stop_all()
                return Due.GIVE_UP
            case _:
                return None
