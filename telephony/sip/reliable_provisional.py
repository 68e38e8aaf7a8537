"""`ReliableProvisional`: a 180 of ours that is repeated until its PRACK comes (RFC 3262 section 3)."""

from __future__ import annotations

import re

from telephony.errors import SipParseError
from telephony.sip.accepted_invite import Due
from telephony.sip.message import Request, Response
from telephony.sip.timers import Timer, TimerSet, Timings
from telephony.sip.transactions import ServerKey

_RACK = re.compile(r"([0-9]{1,10})[ \t]+([0-9]{1,10})[ \t]+([^ \t]+)")


def requires_reliability(invite: Request) -> bool:
    """Whether the caller takes provisional responses only if they are sent reliably."""
    return "100rel" in {tag.lower() for tag in invite.headers.listed("Require")}


class ReliableProvisional:
    """Waits for one PRACK."""

    def __init__(self, key: ServerKey, response: Response, *, number: int, timings: Timings, now: float) -> None:
        self.key = key
        self.response = response
        self._number = number
        self._gap_s = timings.t1_s
        self._timers = TimerSet()
        self._timers.start(Timer.RESEND_OK, now + self._gap_s)
        self._timers.start(Timer.ACK_WAIT, now + timings.give_up_s)

    @property
    def waiting(self) -> bool:
        """Whether its PRACK is not here yet."""
        return self._timers.next_at() is not None

    def acknowledge(self, prack: Request) -> bool:
        """Whether a PRACK is the one for this response, which is not repeated any more then.

        Raises `SipParseError` for an RAck that cannot be read.
        """
        match = _RACK.fullmatch((prack.headers.only("RAck") or "").strip())
        if match is None:
            raise SipParseError("RAck is missing or malformed")
        cseq = self.response.cseq
        right = (int(match.group(1)), int(match.group(2)), match.group(3)) == (self._number, cseq.number, cseq.method)
        if right:
            self.stop()
        return right

    def stop(self) -> None:
        """Repeat it no more: the call has its final response."""
        self._timers.stop_all()

    def timer_at(self) -> float | None:
        """When `pop_due` has something."""
        return self._timers.next_at()

    def pop_due(self, *, now: float) -> Due | None:
        """Let time pass: what is to be done, or None."""
        match self._timers.pop_due(now):
            case None:
                return None
            case Timer.RESEND_OK:
                self._gap_s *= 2
                self._timers.start(Timer.RESEND_OK, now + self._gap_s)
                return Due.RESEND
            case _:
                self.stop()
                return Due.GIVE_UP
