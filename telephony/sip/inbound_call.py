"""`InboundCall`: an INVITE that came to us, from its 180 on (RFC 3261 section 13.3)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from telephony.errors import LocalProtocolError, SdpError
from telephony.leg import EndCause
from telephony.sip.accepted_invite import Due
from telephony.sip.body import session_description
from telephony.sip.call_context import CallContext, Extra
from telephony.sip.dialog import Dialog, DialogId, contact_of
from telephony.sip.events import CallEnded, CallOffered, MediaAgreed
from telephony.sip.flow import Flow
from telephony.sip.inspection import warning
from telephony.sip.message import Request, header_number
from telephony.sip.negotiation import Negotiation
from telephony.sip.offer_answer import Direction, LocalAudio
from telephony.sip.reliable_provisional import ReliableProvisional, requires_reliability
from telephony.sip.responses import response_to
from telephony.sip.session import Session
from telephony.sip.session_states import State as SessionState
from telephony.sip.state_table import StateMachine
from telephony.sip.timers import Timer, TimerSet
from telephony.sip.transaction import Failure
from telephony.sip.transactions import ClientKey, ResponseReceived, ServerKey

RINGING_EVERY_S = 60.0
"""Section 13.3.1.1: a provisional response at least every minute keeps proxies from giving the call up."""

_MAX_EXPIRES_S = 2**32 - 1


class State(Enum):
    """States of the machine."""

    RINGING = auto()
    ANSWERED = auto()  # its session has a machine of its own
    ENDED = auto()


class Cause(Enum):
    """What moves the machine."""

    ANSWER = auto()
    REJECT = auto()  # we answer 300-699
    CANCEL = auto()  # or a BYE before the answer
    EXPIRE = auto()  # the caller's Expires ran out, or its PRACK never came
    SESSION_CLOSED = auto()


TABLE: Mapping[tuple[State, Cause], State] = {
    (State.RINGING, Cause.ANSWER): State.ANSWERED,
    (State.RINGING, Cause.REJECT): State.ENDED,
    (State.RINGING, Cause.CANCEL): State.ENDED,
    (State.RINGING, Cause.EXPIRE): State.ENDED,
    (State.ANSWERED, Cause.SESSION_CLOSED): State.ENDED,
}


class InboundCall:
    """One call that came in. Raises `SipParseError` when its INVITE cannot begin a dialog."""

    def __init__(
        self, context: CallContext, key: ServerKey, invite: Request, flow: Flow, *, rings: bool = True, now: float
    ) -> None:
        """With `rings` False it is `answer`ed at once, and offered to nobody."""
        self.key = key
        self._context = context
        self._invite = invite
        self._flow = flow
        self._dialog = Dialog.of_caller(invite, local_tag=context.new_token()[:16], flow=flow)
        self._record_route: Extra = tuple(("Record-Route", route) for route in invite.headers.listed("Record-Route"))
        self._machine = StateMachine(TABLE, State.RINGING)
        self._timers = TimerSet()
        self._session: Session | None = None
        self._ringing: ReliableProvisional | None = None
        self._numbers = int(context.new_token()[:6], 16)  # of reliable responses (RFC 3262 section 3)
        expires_s = header_number(invite, "Expires", maximum=_MAX_EXPIRES_S)
        if expires_s:
            self._timers.start(Timer.EXPIRES, now + expires_s)
        self._local: LocalAudio | None = None
        if rings:
            self._ring(now)
            context.emit(CallOffered(context.handle, invite, flow))

    @property
    def state(self) -> State:
        """The current state."""
        return self._machine.state

    @property
    def call_id(self) -> str:
        """The SIP Call-ID."""
        return self._dialog.id.call_id

    @property
    def dialog_id(self) -> DialogId:
        """What requests within the call are found by."""
        return self._dialog.id

    @property
    def dialog_ids(self) -> tuple[DialogId, ...]:
        """The same, as every call gives it."""
        return (self._dialog.id,)

    def leave(self, *, now: float) -> LocalAudio | None:
        """Give the call's place to another peer: our end of its media; None, and nothing happens, unless it is up."""
        if self._session is None or self._session.state is not SessionState.CONFIRMED:
            return None
        self._session.leave(now=now)
        return self._local

    def hand_over(self, *, now: float) -> None:
        """Leave the far end, whose REFER has been done: `NOTIFY` says so."""
        assert self._session is not None, "REFER came within a call"
        self._session.hand_over(now=now)
        self._watch(self._session)

    @property
    def session(self) -> Session | None:
        """What an answered call is made of; None before the answer."""
        return self._session

    @property
    def local(self) -> LocalAudio | None:
        """Our end of its media; None where it was never opened."""
        return self._local

    @property
    def dialog(self) -> Dialog | None:
        """The dialog of an answered call; None before the answer."""
        return None if self._session is None else self._session.dialog

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state is State.ENDED

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        if self._session is not None:
            return self._session.timer_at()
        times = (self._timers.next_at(), None if self._ringing is None else self._ringing.timer_at())
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        if self._session is not None:
            self._session.handle_timer(now=now)
            self._watch(self._session)
            return
        while self._ringing is not None and (due := self._ringing.pop_due(now=now)) is not None:
            if due is Due.RESEND:
                self._context.transactions.respond(self._ringing.key, self._ringing.response, now=now)
            else:
                # RFC 3262 section 3: a caller that does not hear us is refused by a 5xx.
                self._refuse(Cause.EXPIRE, 504, EndCause.FAILED, "the caller never acknowledged our 180", now=now)
        while (timer := self._timers.pop_due(now)) is not None:
            if timer is Timer.RINGING:
                self._ring(now)
            else:
                self._refuse(Cause.EXPIRE, 487, EndCause.CANCELLED, "the caller's Expires ran out", now=now)

    def _ring(self, now: float) -> None:
        self._timers.start(Timer.RINGING, now + RINGING_EVERY_S)
        extra = (*self._record_route, *self._context.dialog_headers(self._flow))
        if not requires_reliability(self._invite):
            self._respond(180, now, extra)
        elif self._invite.body and (self._ringing is None or not self._ringing.waiting):
            # To a caller that offered nothing, a reliable 180 would have to hold our offer (RFC 3262 section 5).
            self._ring_reliably(now, extra)

    def _ring_reliably(self, now: float, extra: Extra) -> None:
        self._numbers += 1
        headers = (
            *extra,
            ("Require", "100rel"),
            ("RSeq", str(self._numbers)),
            ("Server", self._context.identity.product),
        )
        response = response_to(self._invite, 180, to_tag=self._dialog.id.local_tag, extra=headers)
        self._context.transactions.respond(self.key, response, now=now)
        self._ringing = ReliableProvisional(
            self.key, response, number=self._numbers, timings=self._context.timings, now=now
        )

    def _respond(self, status: int, now: float, extra: Extra = ()) -> None:
        if self._ringing is not None and status >= 200:
            self._ringing.stop()
        tag = self._dialog.id.local_tag
        self._context.respond(self.key, self._invite, status, now=now, to_tag=tag, extra=extra)

    # What the user decides

    def answer(self, local: LocalAudio, *, now: float) -> None:
        """Send 200 with our SDP; an offer that cannot be taken after all is refused, and ends the call."""
        if not self._machine.step(Cause.ANSWER):
            raise LocalProtocolError(f"cannot answer a call that is {self.state.name}")
        self._local = local
        negotiation = Negotiation(local, session_id=int(self._context.new_token()[:8], 16))
        offer = session_description(self._invite)
        try:
            body, parameters = negotiation.answer(offer) if offer is not None else (negotiation.offer(), None)
        except SdpError as error:
            self._machine.step(Cause.SESSION_CLOSED)
            self._timers.stop_all()
            self._respond(error.status, now, warning(error))
            self._context.emit(CallEnded(self._context.handle, EndCause.FAILED, str(error)))
            return
        if self._ringing is not None:
            self._ringing.stop()
        self._session = Session(self._context, self._dialog, negotiation, placed_here=False)
        self._session.accept(self.key, self._invite, self._flow, body=body, extra=self._record_route, now=now)
        if parameters is not None:
            self._context.emit(MediaAgreed(self._context.handle, parameters))

    def reject(
        self,
        status: int,
        *,
        retry_after_s: int | None = None,
        cause: EndCause = EndCause.REJECTED,
        detail: str = "",
        now: float,
    ) -> None:
        """Refuse the call with a status of 300 to 699; raises `LocalProtocolError` once it was answered."""
        if self.state is not State.RINGING:
            raise LocalProtocolError(f"cannot reject a call that is {self.state.name}")
        extra = () if retry_after_s is None else (("Retry-After", str(retry_after_s)),)
        self._refuse(Cause.REJECT, status, cause, detail, extra=extra, now=now)

    def hang_up(self, cause: EndCause, detail: str = "", *, reason: str = "", now: float) -> None:
        """End the call whatever its state; one that still rings is answered 480."""
        if self._session is None:
            self._refuse(Cause.REJECT, 480, cause, detail, now=now)
        else:
            self._session.hang_up(cause, detail, reason=reason, now=now)
            self._watch(self._session)

    def reoffer(self, direction: Direction, *, now: float) -> None:
        """Send a re-INVITE; raises `LocalProtocolError` before the answer."""
        if self._session is None:
            raise LocalProtocolError("cannot offer anew before the answer")
        self._session.offers.reoffer(direction, now=now)

    def press(self, digits: str, *, now: float) -> bool:
        """See `Session.press`; raises `LocalProtocolError` before the answer."""
        if self._session is None:
            raise LocalProtocolError("cannot send keys before the answer")
        return self._session.press(digits, now=now)

    def transfer(self, refer_to: str, *, now: float) -> None:
        """See `Session.transfer`; raises `LocalProtocolError` before the answer."""
        if self._session is None:
            raise LocalProtocolError("cannot transfer before the answer")
        self._session.transfer(refer_to, now=now)

    # What the peer sends

    def cancel(self, *, now: float) -> None:
        """Take the caller's CANCEL; after the answer it has no effect (section 9.2)."""
        self._refuse(Cause.CANCEL, 487, EndCause.CANCELLED, "", now=now)

    def receive_request(self, key: ServerKey, request: Request, flow: Flow, *, now: float) -> None:
        """Take a request within the dialog; raises `SipParseError` before it was answered."""
        if request.method == "PRACK" and self._ringing is not None:
            self._dialog.take_cseq(request)
            status = 200 if self._ringing.acknowledge(request) else 481
            self._context.respond(key, request, status, now=now)
        elif self._session is not None:
            self._session.receive_request(key, request, flow, now=now)
            self._watch(self._session)
        elif request.method == "BYE":
            # Section 15: a caller may end an early dialog this way too.
            self._context.respond(key, request, 200, now=now)
            self.cancel(now=now)
        elif request.method == "INVITE":
            # Section 14.2: a second INVITE while the first has no final response.
            self._context.respond(key, request, 500, now=now, extra=self._wait())
        elif request.method == "UPDATE":
            self._receive_update(key, request, now)
        else:
            self._context.respond(key, request, 481, now=now)

    def _receive_update(self, key: ServerKey, update: Request, now: float) -> None:
        """Take an UPDATE before the answer; one with an offer comes too soon: the INVITE's has no answer (RFC 3311)."""
        offer, target = session_description(update), contact_of(update)
        if not self._dialog.take_cseq(update):
            self._context.respond(key, update, 500, now=now)
        elif offer is not None:
            self._context.respond(key, update, 500, now=now, extra=self._wait())
        else:
            self._dialog.refresh_target(target)
            self._context.respond(key, update, 200, now=now, extra=self._context.dialog_headers(self._flow))

    def _wait(self) -> Extra:
        return (("Retry-After", str(int(10 * self._context.fraction()))),)

    def receive_ack(self, ack: Request, *, now: float) -> None:
        """Take the ACK for our 2xx."""
        if self._session is not None:
            self._session.receive_ack(ack, now=now)

    def receive_response(self, received: ResponseReceived, *, now: float) -> None:
        """Take a response to a request of ours."""
        if self._session is not None:
            self._session.receive_response(received.key, received.response, now=now)
            self._watch(self._session)

    def request_failed(self, key: ClientKey, failure: Failure, *, now: float) -> None:
        """Note that a request of ours got no final response."""
        if self._session is not None:
            self._session.request_failed(key, failure, now=now)
            self._watch(self._session)

    def flow_lost(self, flow: Flow) -> None:
        """Note that a connection is gone."""
        self._dialog.flow_lost(flow)

    def _refuse(self, step: Cause, status: int, cause: EndCause, detail: str, *, extra: Extra = (), now: float) -> None:
        if self._machine.step(step):
            self._timers.stop_all()
            self._respond(status, now, extra)
            self._context.emit(CallEnded(self._context.handle, cause, detail))

    def _watch(self, session: Session) -> None:
        if session.state is SessionState.CLOSED:
            self._machine.step(Cause.SESSION_CLOSED)
