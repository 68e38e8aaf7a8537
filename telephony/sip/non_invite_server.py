"""Non-INVITE server transaction (RFC 3261 section 17.2.2)."""

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

    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    TERMINATED = auto()


class Cause(Enum):
    """What moves the machine."""

    REQUEST = auto()  # the request again
    PROVISIONAL = auto()  # we answer 1xx
    FINAL = auto()  # we answer 200-699
    TIMER_J = auto()


TABLE: Mapping[tuple[State, Cause], State] = {
    (State.TRYING, Cause.REQUEST): State.TRYING,
    (State.TRYING, Cause.PROVISIONAL): State.PROCEEDING,
    (State.TRYING, Cause.FINAL): State.COMPLETED,
    (State.PROCEEDING, Cause.REQUEST): State.PROCEEDING,
    (State.PROCEEDING, Cause.PROVISIONAL): State.PROCEEDING,
    (State.PROCEEDING, Cause.FINAL): State.COMPLETED,
    (State.COMPLETED, Cause.REQUEST): State.COMPLETED,
    (State.COMPLETED, Cause.TIMER_J): State.TERMINATED,
}


class NonInviteServerTransaction:
    """One request that came to us, other than INVITE and ACK."""

    def __init__(self, flow: Flow, *, timings: Timings) -> None:
        self._machine = StateMachine(TABLE, State.TRYING)
        self.flow = flow
        self._timings = timings
        self._timers = TimerSet()
        self._last: bytes | None = None  # the response to repeat
        self._output: deque[TransactionOutput] = deque()

    @property
    def state(self) -> State:
        """The current state."""
        return self._machine.state

    def receive_request(self) -> None:
        """Take a retransmission of the request."""
        if self._machine.step(Cause.REQUEST):
            self._send_last()

    def respond(self, response: Response, *, now: float) -> None:
        """Send a response; raises `LocalProtocolError` after a final one."""
        before = self.state
        if not self._machine.step(Cause.PROVISIONAL if response.status < 200 else Cause.FINAL):
            raise LocalProtocolError(f"cannot answer {response.status} to a request that is {before.name}")
        self._last = build_message(response)
        self._send_last()
        if self.state is State.COMPLETED:
            self._timers.start(Timer.J, now if self.flow.reliable else now + self._timings.give_up_s)

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        return self._timers.next_at()

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        if self._timers.pop_due(now) is not None:
            self._machine.step(Cause.TIMER_J)

    def poll(self) -> TransactionOutput | None:
        """Next output."""
        return self._output.popleft() if self._output else None

    def _send_last(self) -> None:
        if self._last is not None:
            self._output.append(Transmit(self._last, self.flow))
