"""INVITE client transaction (RFC 3261 section 17.1.1 with RFC 6026's Accepted state)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum, auto

from telephony.sip.flow import Flow, Transmit
from telephony.sip.headers import Headers
from telephony.sip.message import CSeq, Request, Response, build_message
from telephony.sip.state_table import StateMachine
from telephony.sip.timers import Timer, TimerSet, Timings
from telephony.sip.transaction import Delivered, Failed, Failure, TransactionOutput


class State(Enum):
    """States of the machine."""

    CALLING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    TERMINATED = auto()


class Cause(Enum):
    """What moves the machine."""

    PROVISIONAL = auto()  # 1xx comes
    ACCEPT = auto()  # 2xx comes
    REJECT = auto()  # 300-699 comes
    TIMER_A = auto()
    TIMER_B = auto()
    TIMER_D = auto()
    TIMER_M = auto()
    TRANSPORT_ERROR = auto()


TABLE: Mapping[tuple[State, Cause], State] = {
    (State.CALLING, Cause.PROVISIONAL): State.PROCEEDING,
    (State.CALLING, Cause.ACCEPT): State.ACCEPTED,
    (State.CALLING, Cause.REJECT): State.COMPLETED,
    (State.CALLING, Cause.TIMER_A): State.CALLING,
    (State.CALLING, Cause.TIMER_B): State.TERMINATED,
    (State.CALLING, Cause.TRANSPORT_ERROR): State.TERMINATED,
    (State.PROCEEDING, Cause.PROVISIONAL): State.PROCEEDING,
    (State.PROCEEDING, Cause.ACCEPT): State.ACCEPTED,
    (State.PROCEEDING, Cause.REJECT): State.COMPLETED,
    (State.ACCEPTED, Cause.ACCEPT): State.ACCEPTED,
    (State.ACCEPTED, Cause.TIMER_M): State.TERMINATED,
    (State.COMPLETED, Cause.REJECT): State.COMPLETED,
    (State.COMPLETED, Cause.TIMER_D): State.TERMINATED,
}

_TIMER_CAUSES = {
    Timer.A: Cause.TIMER_A,
    Timer.B: Cause.TIMER_B,
    Timer.D: Cause.TIMER_D,
    Timer.M: Cause.TIMER_M,
}


class InviteClientTransaction:
    """One INVITE of ours. It sends the ACK for failures; the ACK for a 2xx is its user's."""

    def __init__(self, request: Request, flow: Flow, *, timings: Timings, now: float) -> None:
        self._machine = StateMachine(TABLE, State.CALLING)
        self.flow = flow
        self._request = request
        self._data = build_message(request)
        self._timings = timings
        self._timers = TimerSet()
        self._gap_s = timings.t1_s  # of timer A
        self._output: deque[TransactionOutput] = deque([Transmit(self._data, flow)])
        self._timers.start(Timer.B, now + timings.give_up_s)
        if not flow.reliable:
            self._timers.start(Timer.A, now + self._gap_s)

    @property
    def state(self) -> State:
        """The current state."""
        return self._machine.state

    def receive(self, response: Response, *, now: float) -> None:
        """Take a response whose Via names this transaction."""
        before = self.state
        if not self._machine.step(_cause_of(response)):
            return
        if self.state is State.COMPLETED:
            self._output.append(Transmit(build_message(_ack_for(self._request, response)), self.flow))
        if self.state is not State.COMPLETED or before is not State.COMPLETED:
            self._output.append(Delivered(response))
        if self.state is not before:
            self._enter(now)

    def _enter(self, now: float) -> None:
        self._timers.stop_all()
        if self.state is State.COMPLETED:
            self._timers.start(Timer.D, now if self.flow.reliable else now + self._timings.give_up_s)
        elif self.state is State.ACCEPTED:
            self._timers.start(Timer.M, now + self._timings.give_up_s)

    def stop_repeating(self) -> None:
        """Send the request no more; a response to it is taken all the same."""
        self._timers.stop(Timer.A)

    def transport_failed(self) -> None:
        """Give up: the request could not be sent, or its connection broke before any answer."""
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
            if timer is Timer.A:
                self._gap_s *= 2
                self._timers.start(Timer.A, now + self._gap_s)
                self._output.append(Transmit(self._data, self.flow))
            elif timer is Timer.B:
                self._timers.stop_all()
                self._output.append(Failed(Failure.TIMEOUT))

    def poll(self) -> TransactionOutput | None:
        """Next output."""
        return self._output.popleft() if self._output else None


def _cause_of(response: Response) -> Cause:
    if response.status < 200:
        return Cause.PROVISIONAL
    return Cause.ACCEPT if response.status < 300 else Cause.REJECT


def _ack_for(request: Request, response: Response) -> Request:
    """Section 17.1.1.3: same Request-URI, top Via, From, Call-ID, CSeq number and Route; the response's To."""
    headers = (
        ("Via", str(request.via)),
        ("Max-Forwards", "70"),
        ("From", request.headers.first("From") or ""),
        ("To", response.headers.first("To") or ""),
        ("Call-ID", request.call_id),
        ("CSeq", str(CSeq(request.cseq.number, "ACK"))),
        *(("Route", route) for route in request.headers.all("Route")),
    )
    return Request("ACK", request.uri, Headers(headers))
