"""Non-INVITE client transaction (RFC 3261 section 17.1.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum, auto

from telephony.sip.flow import Flow, Transmit
from telephony.sip.message import Request, Response, build_message
from telephony.sip.state_table import StateMachine
from telephony.sip.timers import Timer, TimerSet, Timings
from telephony.sip.transaction import Delivered, Failed, Failure, TransactionOutput


class State(Enum):
    """States of the machine."""

    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    TERMINATED = auto()


class Cause(Enum):
    """What moves the machine."""

    PROVISIONAL = auto()  # 1xx comes
    FINAL = auto()  # 200-699 comes
    TIMER_E = auto()
    TIMER_F = auto()
    TIMER_K = auto()
    TRANSPORT_ERROR = auto()


TABLE: Mapping[tuple[State, Cause], State] = {
    (State.TRYING, Cause.PROVISIONAL): State.PROCEEDING,
    (State.TRYING, Cause.FINAL): State.COMPLETED,
    (State.TRYING, Cause.TIMER_E): State.TRYING,
    (State.TRYING, Cause.TIMER_F): State.TERMINATED,
    (State.TRYING, Cause.TRANSPORT_ERROR): State.TERMINATED,
    (State.PROCEEDING, Cause.PROVISIONAL): State.PROCEEDING,
    (State.PROCEEDING, Cause.FINAL): State.COMPLETED,
    (State.PROCEEDING, Cause.TIMER_E): State.PROCEEDING,
    (State.PROCEEDING, Cause.TIMER_F): State.TERMINATED,
    (State.PROCEEDING, Cause.TRANSPORT_ERROR): State.TERMINATED,
    (State.COMPLETED, Cause.TIMER_K): State.TERMINATED,
}

_TIMER_CAUSES = {Timer.E: Cause.TIMER_E, Timer.F: Cause.TIMER_F, Timer.K: Cause.TIMER_K}


class NonInviteClientTransaction:
    """One request of ours, other than INVITE and ACK."""

    def __init__(self, request: Request, flow: Flow, *, timings: Timings, now: float) -> None:
        self._machine = StateMachine(TABLE, State.TRYING)
        self.flow = flow
        self._data = build_message(request)
        self._timings = timings
        self._timers = TimerSet()
        self._gap_s = timings.t1_s  # of timer E
        self._output: deque[TransactionOutput] = deque([Transmit(self._data, flow)])
        self._timers.start(Timer.F, now + timings.give_up_s)
        if not flow.reliable:
            self._timers.start(Timer.E, now + self._gap_s)

    @property
    def state(self) -> State:
        """The current state."""
        return self._machine.state

    def receive(self, response: Response, *, now: float) -> None:
        """Take a response whose Via names this transaction."""
        if not self._machine.step(Cause.PROVISIONAL if response.status < 200 else Cause.FINAL):
            return
        self._output.append(Delivered(response))
        if self.state is State.COMPLETED:
            self._timers.stop_all()
            self._timers.start(Timer.K, now if self.flow.reliable else now + self._timings.t4_s)

    def transport_failed(self) -> None:
        """Give up: the request could not be sent, or its connection broke before the answer."""
        if self._machine.step(Cause.TRANSPORT_ERROR):
            self._timers.stop_all()
            self._output.append(Failed(Failure.TRANSPORT))

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        return self._timers.next_at()

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        while (timer := self._timers.pop_due(now)) is not None:
            self._machine.step(_TIMER_CAUSES[timer])
            if timer is Timer.E:
                # Section 17.1.2.2: once a provisional response has come, every T2.
                doubled = 2 * self._gap_s if self.state is State.TRYING else self._timings.t2_s
                self._gap_s = min(doubled, self._timings.t2_s)
                self._timers.start(Timer.E, now + self._gap_s)
                self._output.append(Transmit(self._data, self.flow))
            elif timer is Timer.F:
                self._timers.stop_all()
                self._output.append(Failed(Failure.TIMEOUT))

    def poll(self) -> TransactionOutput | None:
        """Next output."""
        return self._output.popleft() if self._output else None
