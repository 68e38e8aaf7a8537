"""`OutboundCall`: an INVITE of ours, to its final response and beyond (RFC 3261 sections 8.1.3.4, 9.1, 13.2, 22).

A server that is silent, cannot be reached, or says 503 is passed over for the target's next one (RFC 3263 section 4.3).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from telephony.errors import LocalProtocolError, SipParseError
from telephony.leg import EndCause
from telephony.sip.abandoned_invites import AbandonedInvites
from telephony.sip.auth import authorization
from telephony.sip.call_context import CallContext, Extra
from telephony.sip.destination import Destination
from telephony.sip.dialog import Dialog, DialogId
from telephony.sip.dialog_client import MAX_AUTHENTICATIONS
from telephony.sip.early_dialogs import EarlyDialogs
from telephony.sip.events import CallEnded, CallRedirected, CallRinging, MediaAgreed, ServerFailed
from telephony.sip.flow import Flow
from telephony.sip.forks import Forks
from telephony.sip.grammar import printable
from telephony.sip.message import Request, Response
from telephony.sip.negotiation import Negotiation
from telephony.sip.offer_answer import Direction, LocalAudio
from telephony.sip.outbound_invite import OutboundInvite, cancel_of
from telephony.sip.outbound_states import TABLE, Cause, State
from telephony.sip.reason import q850_of
from telephony.sip.redirection import Redirection
from telephony.sip.retry_after import retry_after_s
from telephony.sip.server_holds import MAX_HOLD_S
from telephony.sip.session import Session
from telephony.sip.session_states import State as SessionState
from telephony.sip.session_timer import SessionTimer
from telephony.sip.state_table import StateMachine
from telephony.sip.timers import Timer, TimerSet
from telephony.sip.transaction import Failure
from telephony.sip.transactions import ClientKey, ResponseReceived, ServerKey
from telephony.sip.uri import SipUri


class OutboundCall:
    """One call that we place."""

    def __init__(self, context: CallContext, destination: Destination, local: LocalAudio, *, now: float) -> None:
        self._context = context
        self._local = local
        self._host = destination.target.host
        self._flow = destination.flow
        self._untried = deque(destination.others)  # servers of the target
        self._target = replace(destination.target, headers="")
        self._credentials = destination.credentials
        negotiation = Negotiation(local, session_id=int(context.new_token()[:8], 16))
        self._invites = OutboundInvite(context, destination, negotiation.offer())
        self._early = EarlyDialogs(context, negotiation)
        self._negotiation = negotiation
        self._redirection = Redirection(self._target)
        self._session_timer = SessionTimer(context.limits)
        self._machine = StateMachine(TABLE, State.CALLING)
        self._timers = TimerSet()
        self._session: Session | None = None
        self._forks = Forks(context)
        self._abandoned = AbandonedInvites(context, self._forks)
        self._authentications = 0
        self._end_as: tuple[EndCause, str] | None = None
        self._redirected_to: SipUri | None = None
        self._q850: int | None = None
        self._status = 0  # of the last refusal
        self._rang = False  # some server has got through to the callee
        self._send_invite((), now)

    def _send_invite(self, extra: Extra, now: float) -> None:
        self._invite = self._invites.next(self._target, self._flow, (*self._session_timer.ask(), *extra))
        self._key = self._context.send(self._invite, self._flow, now=now)
        if self._untried:
            self._timers.start(Timer.NEXT_SERVER, now + self._context.limits.failover_s)

    @property
    def state(self) -> State:
        """The current state."""
        return self._machine.state

    @property
    def call_id(self) -> str:
        """The SIP Call-ID."""
        return self._invites.call_id

    @property
    def dialog_ids(self) -> tuple[DialogId, ...]:
        """What requests within the call are found by: the branches that rang reliably, later the one that answered."""
        return self._early.ids if self._session is None else (*self._early.ids, self._session.dialog.id)

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
        return self.state is State.ENDED and not self._abandoned.pending

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        own = self._timers.next_at() if self._session is None else self._session.timer_at()
        return min((at for at in (own, self._abandoned.timer_at()) if at is not None), default=None)

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        self._abandoned.handle_timer(now=now)
        if self._session is not None:
            self._session.handle_timer(now=now)
            self._watch(self._session)
            return
        match self._timers.pop_due(now):
            case Timer.NEXT_SERVER:
                self._abandoned.add(self._key, self._invite, self._flow, now=now)
                self._try_next_server(now)
            case Timer.CANCEL_WAIT:
                # Section 9.1: a peer that never answers the INVITE after CANCEL is given up.
                self._finish(Cause.CANCEL_TIMEOUT, EndCause.BOT_HUNG_UP, "")
            case _:
                pass

    # What the user decides

    def hang_up(self, cause: EndCause, detail: str = "", *, reason: str = "", now: float) -> None:
        """End the call whatever its state. Idempotent."""
        if self._session is not None:
            self._session.hang_up(cause, detail, reason=reason, now=now)
            self._watch(self._session)
        elif self._machine.step(Cause.HANG_UP):
            self._end_as = (cause, detail)
            self._timers.stop(Timer.NEXT_SERVER)
            self._context.emit(CallEnded(self._context.handle, cause, detail))
            if self.state is State.CANCELLING:
                self._send_cancel(now)

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
        self._watch(self._session)

    def follow(self, flows: Sequence[Flow], *, now: float) -> None:
        """Call the target of the last `CallRedirected` at these servers; none: it may not be called."""
        if self.state is not State.REDIRECTED:
            return
        target = self._redirected_to
        if not flows or target is None:
            self._redirect("redirected to where it may not go, or to nowhere")
            return
        if target.host != self._host:
            self._credentials = None  # a password is for whom it was given for
        self._target, self._flow, self._untried = target, flows[0], deque(flows[1:])
        self._rang = False
        self._machine.step(Cause.FOLLOW)
        self._invite_again((), now)

    def _send_cancel(self, now: float) -> None:
        self._context.send(cancel_of(self._invite), self._flow, now=now)
        self._timers.start(Timer.CANCEL_WAIT, now + self._context.timings.give_up_s)

    # What the peer sends

    def receive_request(self, key: ServerKey, request: Request, flow: Flow, *, now: float) -> None:
        """Take a request within the dialog; raises `SipParseError` before it was answered."""
        if self._session is None or request.from_.tag != self._session.dialog.id.remote_tag:
            self._early.receive_request(key, request, now=now)
            return
        self._session.receive_request(key, request, flow, now=now)
        self._watch(self._session)

    def receive_ack(self, ack: Request, *, now: float) -> None:
        """Take the ACK for our 2xx to a re-INVITE."""
        if self._session is not None:
            self._session.receive_ack(ack, now=now)

    def receive_response(self, received: ResponseReceived, *, now: float) -> None:
        """Take a response to a request of ours."""
        response = received.response
        if self._abandoned.receive(received, now=now):
            return
        if received.key == self._key:
            self._timers.stop(Timer.NEXT_SERVER)  # it is alive, whatever it says
        if received.key != self._key:
            if self._session is not None:
                self._session.receive_response(received.key, response, now=now)
        elif response.status < 200:
            self._receive_provisional(response, received.flow, now)
        elif response.status < 300:
            self._receive_success(response, received.flow, now)
        elif not self._ask_again(response, now) and not self._pass_over(response, now):
            self._receive_failure(response)
        if self._session is not None:
            self._watch(self._session)

    def _receive_provisional(self, response: Response, flow: Flow, now: float) -> None:
        before = self.state
        self._rang = self._rang or response.status > 100
        self._machine.step(Cause.PROVISIONAL)
        if before is State.CANCEL_WANTED:
            self._send_cancel(now)
        elif self.state is State.PROCEEDING and response.status > 100:
            self._context.emit(CallRinging(self._context.handle, response.status))
            self._early.receive(self._invite, response, flow, now=now)

    def _ask_again(self, response: Response, now: float) -> bool:
        """Send the same INVITE with what it lacked: credentials (section 22.2), or patience (RFC 4028 section 7.3)."""
        extra: Extra = ()
        if response.status in (401, 407):
            if self._credentials is None or self._authentications >= MAX_AUTHENTICATIONS:
                return False
            cnonce = self._context.new_token()
            answered = authorization(self._credentials, self._invite, response, cnonce=cnonce)
            if answered is None:
                return False
            extra = (answered,)
        elif response.status != 422 or not self._session_timer.take_refusal(response):
            return False
        if not self._machine.step(Cause.CHALLENGE):
            return False
        self._authentications += bool(extra)
        self._invite_again(extra, now)
        return True

    def _invite_again(self, extra: Extra, now: float) -> None:
        self._early = EarlyDialogs(self._context, self._negotiation)
        self._send_invite(extra, now)

    def _pass_over(self, response: Response, now: float) -> bool:
        """Go to the next server when this one, not the callee, says that it cannot (RFC 3263 section 4.3)."""
        status = response.status
        if status != 503 and (status != 408 or self._rang):
            return False
        wait_s = retry_after_s(response, longest_s=MAX_HOLD_S) if status == 503 else 0.0
        return self._try_next_server(now, retry_after_s=wait_s)

    def _try_next_server(self, now: float, *, retry_after_s: float = 0.0) -> bool:
        self._context.emit(ServerFailed(self._context.handle, self._flow, retry_after_s))
        if not self._untried or self._end_as is not None or not self._machine.step(Cause.NEXT_SERVER):
            return False
        self._flow = self._untried.popleft()
        self._authentications = 0
        self._invite_again((), now)
        return True

    def _receive_failure(self, response: Response) -> None:
        self._q850, self._status = q850_of(response), response.status
        if response.status in (300, 301, 302):
            self._redirection.add(response)
        if response.status < 600:
            self._redirect(f"{response.status} {printable(response.reason)}".strip())
        else:
            self._finish(Cause.REJECT, EndCause.FAILED, f"{response.status} {printable(response.reason)}".strip())

    def _redirect(self, detail: str) -> None:
        """Ask for leave to call the next target, or end the call with what became of the last one."""
        target = self._redirection.next() if self._end_as is None else None
        if target is None or not self._machine.step(Cause.REDIRECT):
            self._finish(Cause.REJECT, EndCause.FAILED, detail)
            return
        self._redirected_to = target
        self._context.emit(CallRedirected(self._context.handle, target))

    def _receive_success(self, response: Response, flow: Flow, now: float) -> None:
        branch = self._early.branch(response.to.tag)
        if self._session is not None:
            if response.to.tag == self._session.dialog.id.remote_tag:
                self._session.receive_response(self._key, response, now=now)
            else:
                self._forks.close(self._invite, response, flow, early=branch.dialog, now=now)
            return
        try:
            if branch.dialog is not None:
                branch.dialog.confirm(response, flow=flow)
            dialog = branch.dialog or Dialog.of_callee(self._invite, response, flow=flow)
        except SipParseError as error:
            # Without a Contact there is nobody to send ACK or BYE to.
            self._finish(Cause.REJECT, EndCause.FAILED, str(error))
            return
        self._machine.step(Cause.ACCEPT)
        self._timers.stop_all()
        session = self._session = Session(
            self._context,
            dialog,
            branch.negotiation,
            placed_here=True,
            credentials=self._credentials,
            timer=self._session_timer,
            ended=self._end_as is not None,
        )
        session.offers.begin(self._key, self._invite, response, now=now)
        if self._end_as is not None:
            session.hang_up(*self._end_as, now=now)
        elif branch.agreed is not None:
            # RFC 3262 section 5: the answer came reliably; what the 2xx repeats of it changes nothing.
            self._context.emit(MediaAgreed(self._context.handle, branch.agreed))
        else:
            # Section 13.2.1: the answer may have come in a provisional response already.
            session.offers.take_answer(response, early=branch.described, now=now)

    def request_failed(self, key: ClientKey, failure: Failure, *, now: float) -> None:
        """Note that a request of ours got no final response."""
        if self._abandoned.failed(key):
            return
        if self._session is not None:
            self._session.request_failed(key, failure, now=now)
            self._watch(self._session)
        elif key == self._key and not self._try_next_server(now):
            self._q850, self._status = None, 0
            self._finish(Cause.FAIL, EndCause.FAILED, f"no answer to INVITE: {failure.name.lower()}")

    def flow_lost(self, flow: Flow) -> None:
        """Note that a connection is gone."""
        if self._session is not None:
            self._session.dialog.flow_lost(flow)

    def _finish(self, step: Cause, cause: EndCause, detail: str) -> None:
        if self._machine.step(step):
            self._timers.stop_all()
            if self._end_as is None:
                self._context.emit(CallEnded(self._context.handle, cause, detail, self._q850, self._status))

    def _watch(self, session: Session) -> None:
        if session.state is SessionState.CLOSED:
            self._machine.step(Cause.SESSION_CLOSED)
