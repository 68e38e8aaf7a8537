"""INVITE server transaction (RFC 3261 section 17.2.1 with RFC 6026's Accepted state)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum, auto

from telephony.errors import LocalProtocolError
from telephony.sip.flow import Flow, Transmit
from telephony.sip.message import Response, build_message
from telephony.sip.state_table import StateMachine
from telephony.sip.timers import Timer, TimerSet, Timings
from telephony.sip.transaction import TransactionOutput


class State(Enum):
    """States of the machine."""

    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Cause(Enum):
    """What moves the machine."""

    INVITE = auto()  # the request again
    ACK = auto()
    PROVISIONAL = auto()  # we answer 1xx
    ACCEPT = auto()  # we answer 2xx
    REJECT = auto()  # we answer 300-699
    TIMER_G = auto()
    TIMER_H = auto()
    TIMER_I = auto()
    TIMER_L = auto()


TABLE: Mapping[tuple[State, Cause], State] = {
    (State.PROCEEDING, Cause.INVITE): State.PROCEEDING,
    (State.PROCEEDING, Cause.PROVISIONAL): State.PROCEEDING,
    (State.PROCEEDING, Cause.ACCEPT): State.ACCEPTED,
    (State.PROCEEDING, Cause.REJECT): State.COMPLETED,
    (State.ACCEPTED, Cause.ACCEPT): State.ACCEPTED,
    (State.ACCEPTED, Cause.TIMER_L): State.TERMINATED,
    (State.COMPLETED, Cause.INVITE): State.COMPLETED,
    (State.COMPLETED, Cause.ACK): State.CONFIRMED,
    (State.COMPLETED, Cause.TIMER_G): State.COMPLETED,
    (State.COMPLETED, Cause.TIMER_H): State.TERMINATED,
    (State.CONFIRMED, Cause.TIMER_I): State.TERMINATED,
}

_TIMER_CAUSES = {
    Timer.G: Cause.TIMER_G,
    Timer.H: Cause.TIMER_H,
    Timer.I: Cause.TIMER_I,
    Timer.L: Cause.TIMER_L,
}


class InviteServerTransaction:
    """One INVITE that came to us. The 2xx is repeated by its user, every other response from here."""

    def __init__(self, flow: Flow, *, timings: Timings) -> None:
        self._machine = StateMachine(TABLE, State.PROCEEDING)
        self.flow = flow
        self._timings = timings
        self._timers = TimerSet()
        self._gap_s = timings.t1_s  # of timer G
        self._last: bytes | None = None  # the response to repeat
        self._output: deque[TransactionOutput] = deque()

    @property
    def state(self) -> State:
        """The current state."""
        return self._machine.state

    def receive_invite(self) -> None:
        """Take a retransmission of the request; a 2xx is not repeated for it (RFC 6026 section 7.1)."""
        if self._machine.step(Cause.INVITE):
            self._send_last()

    def receive_ack(self, *, now: float) -> None:
        """Take the ACK for a response of 300 or more."""
        if self._machine.step(Cause.ACK):
            self._timers.stop_all()
            self._timers.start(Timer.I, now if self.flow.reliable else now + self._timings.t4_s)

    def respond(self, response: Response, *, now: float) -> None:
        """Send a response; raises `LocalProtocolError` where the state does not allow it."""
        before = self.state
        if not self._machine.step(_cause_of(response)):
            raise LocalProtocolError(f"cannot answer {response.status} to an INVITE that is {before.name}")
        self._last = build_message(response)
        self._send_last()
        if self.state is State.COMPLETED:
            self._timers.start(Timer.H, now + self._timings.give_up_s)
            if not self.flow.reliable:
                self._timers.start(Timer.G, now + self._gap_s)
        elif self.state is State.ACCEPTED and before is State.PROCEEDING:
            self._timers.start(Timer.L, now + self._timings.give_up_s)

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        return self._timers.next_at()

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        while (timer := self._timers.pop_due(now)) is not None:
            self._machine.step(_TIMER_CAUSES[timer])
            if timer is Timer.G:
                self._gap_s = min(2 * self._gap_s, self._timings.t2_s)
                self._timers.start(Timer.G, now + self._gap_s)
                self._send_last()
            elif timer is Timer.H:
                self._timers.stop_all()

    def poll(self) -> TransactionOutput | None:
        """Next output."""
        return self._output.popleft() if self._output else None

    def _send_last(self) -> None:
        if self._last is not None:
            self._output.append(Transmit(self._last, self.flow))


def _cause_of(response: Response) -> Cause:
    if response.status < 200:
        return Cause.PROVISIONAL
    return Cause.ACCEPT if response.status < 300 else Cause.REJECT
