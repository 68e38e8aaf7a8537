"""`Session`: a call after its first 2xx, whichever side placed it (RFC 3261 sections 12.2, 13.3.1.4, 14, 15)."""

from __future__ import annotations

from telephony.errors import LocalProtocolError, RemoteProtocolError, SdpError, SipParseError
from telephony.leg import EndCause
from telephony.sip.accepted_invite import AcceptedInvite, Due
from telephony.sip.auth import Credentials
from telephony.sip.body import media_type, session_description
from telephony.sip.call_context import CallContext, Extra
from telephony.sip.dialog import Dialog, contact_of
from telephony.sip.dialog_client import DialogClient
from telephony.sip.dtmf import DTMF, DTMF_RELAY, read_digit
from telephony.sip.events import CallEnded, DigitPressed, MediaAgreed, TransferEnded
from telephony.sip.flow import Flow
from telephony.sip.grammar import printable
from telephony.sip.inspection import ACCEPT, ALLOW, refusal_of, warning
from telephony.sip.message import Request, Response
from telephony.sip.negotiation import Negotiation
from telephony.sip.offer_answer import Direction
from telephony.sip.reason import q850_of
from telephony.sip.responses import response_to
from telephony.sip.session_states import TABLE, Cause, State
from telephony.sip.session_timer import SessionDue, SessionTimer, refuse_brief
from telephony.sip.state_table import StateMachine
from telephony.sip.timers import Timer, TimerSet
from telephony.sip.transaction import Failure
from telephony.sip.transactions import ClientKey, ServerKey
from telephony.sip.transfer import Outcome, Transfer

_NO_ANSWER = 'SIP;cause=488;text="no acceptable answer"'
_OPEN = (State.CONFIRMED, State.AWAITING_ACK, State.OFFERING)


class Session:
    """One established call."""

    def __init__(
        self,
        context: CallContext,
        dialog: Dialog,
        negotiation: Negotiation,
        *,
        placed_here: bool,
        credentials: Credentials | None = None,
        timer: SessionTimer | None = None,
        ended: bool = False,
    ) -> None:
        self.dialog = dialog
        self._timer = timer or SessionTimer(context.limits)
        self._context = context
        self._negotiation = negotiation
        self._placed_here = placed_here
        self._client = DialogClient(context, dialog, credentials=credentials)
        self._machine = StateMachine(TABLE, State.CONFIRMED)
        self._timers = TimerSet()
        self._unacked: AcceptedInvite | None = None
        self._next_offer: Direction | None = None
        self._peer_takes_update = False
        self._transfer: Transfer | None = None
        self._refer: Extra = ()  # of a REFER that waits
        self._bye_headers: Extra = ()
        self._ended = ended  # whether the user knows already that the call is over

    @property
    def state(self) -> State:
        """The current state."""
        return self._machine.state

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        parts = (self._timer, self._unacked, self._transfer)
        times = (self._timers.next_at(), *(part.timer_at() for part in parts if part is not None))
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        if self._timers.pop_due(now) is not None:
            self._offer_next(now)
        while (unacked := self._unacked) is not None and (due := unacked.pop_due(now=now)) is not None:
            if due is Due.RESEND:
                self._context.transactions.respond(unacked.key, unacked.response, now=now)
            else:
                self._give_up_on_ack(now)
        if self._transfer is not None:
            self._transfer.handle_timer(now=now)
            self._settle_transfer(now)
        while (session_due := self._timer.pop_due(now=now)) is not None:
            if session_due is SessionDue.REFRESH:
                self._refresh(now)
            else:
                reason = 'SIP;cause=408;text="session timer expired"'
                self.hang_up(EndCause.FAILED, "nobody refreshed the session", reason=reason, now=now)

    def noted(self, message: Request | Response) -> None:
        """Read what the peer says of itself in a message that begins or refreshes the dialog."""
        if message.headers.all("Allow"):
            self._peer_takes_update = "UPDATE" in {method.upper() for method in message.headers.listed("Allow")}

    # What the peer sends

    def receive_request(self, key: ServerKey, request: Request, flow: Flow, *, now: float) -> None:
        """Take a request within the dialog; raises `SipParseError` before it was answered."""
        if not self.dialog.take_cseq(request):
            self._context.respond(key, request, 500, now=now)
            return
        self.dialog.heard_on(flow)
        if request.method == "BYE":
            self._receive_bye(key, request, now)
        elif self.state not in _OPEN:
            self._context.respond(key, request, 481, now=now)
        elif request.method in ("INVITE", "UPDATE"):
            self._receive_offer(key, request, flow, now)
        elif request.method == "INFO":
            self._receive_info(key, request, now)
        elif request.method == "NOTIFY" and self._transfer is not None:
            self._context.respond(key, request, self._transfer.notified(request), now=now)
            self._settle_transfer(now)
        elif request.method in ("NOTIFY", "PRACK"):
            self._context.respond(key, request, 481, now=now)
        elif request.method == "REFER":
            # Whom a bot talks to is not for its caller to choose.
            self._context.respond(key, request, 603, now=now)
        else:
            self._context.respond(key, request, 200, now=now, extra=(ALLOW, ACCEPT))

    def _receive_bye(self, key: ServerKey, request: Request, now: float) -> None:
        self._context.respond(key, request, 200, now=now)
        self._machine.step(Cause.BYE_RECEIVED)
        self._timers.stop_all()
        self._timer.stop()
        self._unacked = None
        reason = printable(request.headers.first("Reason") or "")[:200]
        cause = EndCause.CALLER_HUNG_UP
        if self._transfer is not None:
            self._transfer.hung_up()
            if (outcome := self._take_outcome()) is not None and outcome.succeeded:
                cause = EndCause.TRANSFERRED
        self._end(cause, reason, q850_of(request))

    def _receive_info(self, key: ServerKey, request: Request, now: float) -> None:
        kind, _ = media_type(request.headers)
        known = kind in (DTMF_RELAY, DTMF)
        digit = read_digit(kind, request.body) if known else None
        refused = bool(request.body) and not known
        self._context.respond(key, request, 415 if refused else 200, now=now, extra=(ACCEPT,) if refused else ())
        if digit is not None:
            self._context.emit(DigitPressed(self._context.handle, digit))

    def _receive_offer(self, key: ServerKey, request: Request, flow: Flow, now: float) -> None:
        """Take a re-INVITE (RFC 3261 section 14.2) or an UPDATE (RFC 3311 section 5.2)."""
        is_invite = request.method == "INVITE"
        try:
            if (brief := refuse_brief(request, self._context.limits)) is not None:
                self._context.respond(key, request, brief.status, now=now, extra=brief.extra)
                return
            offer, target = session_description(request), contact_of(request)
            if (is_invite or offer is not None) and (self.state is State.OFFERING or self._negotiation.offer_pending):
                self._context.respond(key, request, 491, now=now)
                return
            body, parameters = b"", None
            if offer is not None:
                body, parameters = self._negotiation.answer(offer)
            elif is_invite:
                body = self._negotiation.offer()
        except SipParseError as error:
            refusal = refusal_of(error)
            self._context.respond(key, request, refusal.status, now=now, extra=refusal.extra)
        except SdpError as error:
            self._context.respond(key, request, error.status, now=now, extra=warning(error))
        else:
            self.dialog.refresh_target(target)
            if is_invite:
                self.accept(key, request, flow, body=body, now=now)
            else:
                self.noted(request)
                self._context.transactions.respond(key, self._success(request, flow, body, now), now=now)
            if parameters is not None:
                self._context.emit(MediaAgreed(self._context.handle, parameters))

    def accept(
        self, key: ServerKey, invite: Request, flow: Flow, *, body: bytes, extra: Extra = (), now: float
    ) -> None:
        """Answer an INVITE with 200, and repeat that until its ACK is here."""
        context = self._context
        self.noted(invite)
        response = self._success(invite, flow, body, now, extra)
        context.transactions.respond(key, response, now=now)
        self._machine.step(Cause.ACCEPTED)
        self._unacked = AcceptedInvite(key, response, timings=context.timings, now=now)

    def _success(self, request: Request, flow: Flow, body: bytes, now: float, extra: Extra = ()) -> Response:
        context = self._context
        server = ("Server", context.identity.product)
        timer = self._timer.answer(request, now=now)
        headers = (*extra, *context.dialog_headers(flow), *timer, server, *context.describe(body))
        return response_to(request, 200, to_tag=self.dialog.id.local_tag, extra=headers, body=body)

    def _give_up_on_ack(self, now: float) -> None:
        self._unacked = None
        self._machine.step(Cause.ACK_TIMEOUT)
        self._end(EndCause.NO_ACK, "the 200 was never acknowledged")
        self._bye_headers = self._bye_headers or (("Reason", 'SIP;cause=408;text="ACK timeout"'),)
        self._send_bye(now)

    def receive_ack(self, ack: Request, *, now: float) -> None:
        """Take the ACK for our 2xx; it holds the answer when the 2xx held the offer."""
        if self._unacked is None or not self._unacked.is_acked_by(ack):
            return
        self._unacked = None
        self._machine.step(Cause.ACKED)
        if self.state is State.CLOSING:
            self._send_bye(now)
            return
        if self._negotiation.offer_pending:
            try:
                parameters = self._negotiation.take_answer(session_description(ack))
            except RemoteProtocolError as error:
                self.hang_up(EndCause.FAILED, str(error), reason=_NO_ANSWER, now=now)
                return
            self._context.emit(MediaAgreed(self._context.handle, parameters))
        self._send_refer(now)
        self._offer_next(now)

    # What we send

    def hang_up(self, cause: EndCause, detail: str = "", *, reason: str = "", now: float) -> None:
        """End the call; `reason` is the value of a Reason header (RFC 3326). Idempotent."""
        if not self._machine.step(Cause.HANG_UP):
            return
        self._timers.stop(Timer.REOFFER)
        self._timer.stop()
        self._bye_headers = (("Reason", reason),) if reason else ()
        self._end(cause, detail)
        if self.state is State.CLOSING:
            self._send_bye(now)

    def leave(self, *, now: float) -> None:
        """Say BYE to a peer that another one has replaced (RFC 3891 section 3); the user is told nothing."""
        self._ended = True
        self.hang_up(EndCause.TRANSFERRED, reason='SIP;cause=200;text="Call completed elsewhere"', now=now)

    def _send_bye(self, now: float) -> None:
        self._timers.stop_all()
        self._timer.stop()
        self._client.send("BYE", self._bye_headers, now=now)

    def reoffer(self, direction: Direction, *, now: float) -> None:
        """Send a re-INVITE with this direction: `SENDONLY` or `INACTIVE` holds the peer, `SENDRECV` resumes."""
        self._next_offer = direction
        self._offer_next(now)

    def _offer_next(self, now: float) -> None:
        """Send the re-INVITE that is wanted, as soon as no other INVITE is in progress."""
        if self._next_offer is None or not self._machine.step(Cause.OFFERED):
            return
        body = self._negotiation.offer(self._next_offer)
        headers = self._context.dialog_headers(self.dialog.next_flow())
        self._client.send("INVITE", (*headers, *self._timer.ask(), *self._context.describe(body)), body, now=now)

    def _refresh(self, now: float) -> None:
        """Show that we live (RFC 4028 section 7.4); a re-INVITE that is under way does so too."""
        if self._peer_takes_update:
            headers = self._context.dialog_headers(self.dialog.next_flow())
            self._client.send("UPDATE", (*headers, *self._timer.ask()), now=now)
        elif self._next_offer is None:
            self.reoffer(self._negotiation.wanted, now=now)

    def transfer(self, refer_to: str, *, now: float) -> None:
        """Ask the peer to call somebody else; raises `LocalProtocolError` unless the call is up and no other runs."""
        if self.state not in _OPEN or (self._transfer is not None and self._transfer.outcome is None):
            raise LocalProtocolError("a call that is not up, or being transferred already, cannot be transferred")
        self._transfer = Transfer(give_up_at=now + self._context.limits.transfer_s)
        referred_by = ("Referred-By", f"<{self._context.identity.uri()}>")
        self._refer = (("Refer-To", refer_to), referred_by)
        self._send_refer(now)

    def _send_refer(self, now: float) -> None:
        """Send the REFER that waits, once the peer has shown by its ACK that it knows of the call."""
        if self._refer and self.state is not State.AWAITING_ACK:
            headers, self._refer = self._refer, ()
            self._client.send("REFER", (*headers, *self._context.dialog_headers(self.dialog.next_flow())), now=now)

    def _settle_transfer(self, now: float) -> None:
        """A transfer that succeeded leaves nobody here to talk to (RFC 5589 section 6.1)."""
        outcome = self._take_outcome()
        if outcome is not None and outcome.succeeded:
            self.hang_up(EndCause.TRANSFERRED, reason="Q.850;cause=16", now=now)

    def _take_outcome(self) -> Outcome | None:
        outcome = None if self._transfer is None else self._transfer.outcome
        if outcome is not None:
            self._transfer = None
            self._context.emit(TransferEnded(self._context.handle, outcome))
        return outcome

    # What comes of it

    def receive_response(self, key: ClientKey, response: Response, *, now: float) -> None:
        """Take a response to a request of ours."""
        again = key.method != "INVITE" or self.state is State.OFFERING
        request = self._client.receive(key, response, now=now, again=again)
        if request is None:
            return
        match request.method:
            case "BYE":
                self._machine.step(Cause.BYE_ANSWERED)
            case "INVITE":
                self._finish_offer(key, request, response, now)
            case "UPDATE":
                self._finish_refresh(response, now)
            case _ if self._transfer is not None:
                self._transfer.answered(response)
                self._settle_transfer(now)
            case _:
                pass  # the transfer was decided by a NOTIFY before

    def request_failed(self, key: ClientKey, failure: Failure, *, now: float) -> None:
        """Note that a request of ours got no final response."""
        again = key.method != "INVITE" or self.state is State.OFFERING
        request = self._client.fail(key, failure, now=now, again=again)
        if request is None:
            return
        match request.method:
            case "BYE":
                self._machine.step(Cause.BYE_ANSWERED)
            case "REFER":
                if self._transfer is not None:
                    self._transfer.unanswered()
                    self._settle_transfer(now)
            case method:
                self._negotiation.drop_offer()
                name = "re-INVITE" if method == "INVITE" else method
                self.hang_up(EndCause.FAILED, f"the {name} was not answered", now=now)

    def _finish_refresh(self, response: Response, now: float) -> None:
        if response.status < 300:
            self._agree_timer(response, now)
        elif response.status in (408, 481):
            self.hang_up(EndCause.FAILED, f"the UPDATE was answered {response.status}", now=now)
        elif response.status in (405, 501):
            self._peer_takes_update = False
            self._refresh(now)

    def _agree_timer(self, response: Response, now: float) -> None:
        try:
            self._timer.agreed(response, now=now)
        except SipParseError:
            self._timer.stop()

    def _finish_offer(self, key: ClientKey, request: Request, response: Response, now: float) -> None:
        if response.status < 300:
            self._client.acknowledge(key, request)
        self._machine.step(Cause.OFFER_ANSWERED)
        if self.state is not State.CONFIRMED:
            return
        if response.status < 300:
            self.noted(response)
            self._agree_timer(response, now)
            self.take_answer(response, now=now)
            if self._next_offer is self._negotiation.wanted:
                self._next_offer = None
            self._offer_next(now)
            return
        self._negotiation.drop_offer()
        if response.status == 491:
            # Section 14.1: whoever made the Call-ID waits longer, so that the two do not meet again.
            wait_s = 2.1 + 1.9 * self._context.fraction() if self._placed_here else 2.0 * self._context.fraction()
            self._timers.start(Timer.REOFFER, now + wait_s)
        elif response.status in (408, 481):
            self.hang_up(EndCause.FAILED, f"the re-INVITE was answered {response.status}", now=now)
        elif response.status == 422 and self._timer.take_refusal(response):
            self._offer_next(now)
        else:
            self._next_offer = None  # section 14.1: the session goes on as it was

    def begin(self, key: ClientKey, invite: Request, response: Response, *, now: float) -> None:
        """Acknowledge the 2xx to the INVITE that placed the call, and learn from it."""
        self._client.acknowledge(key, invite)
        self.noted(response)
        self._agree_timer(response, now)

    def take_answer(self, response: Response, *, early: Response | None = None, now: float) -> None:
        """Take the SDP of a 2xx to our INVITE, or of a response before it; the call ends when it does not fit."""
        described = response if response.body or early is None else early
        try:
            self.dialog.refresh_target(contact_of(response))
            parameters = self._negotiation.take_answer(session_description(described))
        except RemoteProtocolError as error:
            self._negotiation.drop_offer()
            self.hang_up(EndCause.FAILED, str(error), reason=_NO_ANSWER, now=now)
        else:
            self._context.emit(MediaAgreed(self._context.handle, parameters))

    def _end(self, cause: EndCause, detail: str, q850: int | None = None) -> None:
        if not self._ended:
            self._ended = True
            self._context.emit(CallEnded(self._context.handle, cause, detail, q850))
