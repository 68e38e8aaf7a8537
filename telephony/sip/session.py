"""`Session`: a call after its first 2xx, whichever side placed it (RFC 3261 sections 12.2, 13.3.1.4, 14, 15)."""

from __future__ import annotations

from telephony.errors import LocalProtocolError
from telephony.leg import EndCause
from telephony.sip.accepted_invite import AcceptedInvite, Due
from telephony.sip.auth import Credentials
from telephony.sip.body import media_type
from telephony.sip.call_context import CallContext, Extra
from telephony.sip.dialog import Dialog
from telephony.sip.dialog_client import DialogClient
from telephony.sip.dtmf import DTMF, DTMF_RELAY, read_digit
from telephony.sip.events import CallConfirmed, CallEnded, DigitPressed, KeysSent, ReferAsked, TransferEnded
from telephony.sip.flow import Flow
from telephony.sip.grammar import printable
from telephony.sip.info_keys import MAX_WAITING, InfoKeys
from telephony.sip.inspection import ACCEPT
from telephony.sip.message import Request, Response
from telephony.sip.negotiation import Negotiation
from telephony.sip.reason import q850_of
from telephony.sip.referral import Referral
from telephony.sip.session_offers import SessionOffers
from telephony.sip.session_states import TABLE, Cause, State
from telephony.sip.session_timer import SessionTimer
from telephony.sip.state_table import StateMachine
from telephony.sip.transaction import Failure
from telephony.sip.transactions import ClientKey, ServerKey
from telephony.sip.transfer import Outcome, Transfer

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
        self._context = context
        self._client = DialogClient(context, dialog, credentials=credentials)
        self._machine = StateMachine(TABLE, State.CONFIRMED)
        self.offers = SessionOffers(
            context,
            dialog,
            negotiation,
            self._client,
            self._machine,
            timer=timer or SessionTimer(context.limits),
            placed_here=placed_here,
            fail=lambda detail, reason, now: self.hang_up(EndCause.FAILED, detail, reason=reason, now=now),
        )
        self._keys = InfoKeys(
            lambda body, now: self._client.send("INFO", (("Content-Type", DTMF_RELAY),), body, now=now),
            lambda sent, status: context.emit(KeysSent(context.handle, sent, status)),
        )
        self._unacked: AcceptedInvite | None = None
        self._transfer: Transfer | None = None
        self._referral: Referral | None = None
        self._refer: Extra = ()  # of a REFER that waits
        self._bye_headers: Extra = ()
        self._bye_waits = False  # for the answer to a NOTIFY
        self._ended = ended  # whether the user knows already that the call is over

    @property
    def state(self) -> State:
        """The current state."""
        return self._machine.state

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        parts = (self.offers, self._unacked, self._transfer, self._keys)
        times = (part.timer_at() for part in parts if part is not None)
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        while (unacked := self._unacked) is not None and (due := unacked.pop_due(now=now)) is not None:
            if due is Due.RESEND:
                self._context.transactions.respond(unacked.key, unacked.response, now=now)
            else:
                self._give_up_on_ack(now)
        if self._transfer is not None:
            self._transfer.handle_timer(now=now)
            self._settle_transfer(now)
        self.offers.handle_timer(now=now)
        self._keys.handle_timer(now=now)

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
            self.offers.receive(
                key, request, flow, accept=lambda body: self.accept(key, request, flow, body=body, now=now), now=now
            )
        elif request.method == "INFO":
            self._receive_info(key, request, now)
        elif request.method == "NOTIFY" and self._transfer is not None:
            self._context.respond(key, request, self._transfer.notified(request), now=now)
            self._settle_transfer(now)
        elif request.method in ("NOTIFY", "PRACK"):
            self._context.respond(key, request, 481, now=now)
        elif request.method == "REFER":
            self._receive_refer(key, request, flow, now)
        else:
            self._context.respond(key, request, 200, now=now, extra=(self._context.allow, ACCEPT))

    def _receive_refer(self, key: ServerKey, request: Request, flow: Flow, now: float) -> None:
        heeds = self._context.heeds_refer
        if heeds is None or not heeds(flow):
            # Whom a bot talks to is not for its caller to choose.
            self._context.respond(key, request, 603, now=now)
        elif self._transfer is not None or (self._referral is not None and not self._referral.settled):
            self._context.respond(key, request, 491, now=now)
        else:
            self._referral = Referral(key, request)
            self._context.emit(ReferAsked(self._context.handle, self._referral.target))

    def _receive_bye(self, key: ServerKey, request: Request, now: float) -> None:
        self._context.respond(key, request, 200, now=now)
        self._machine.step(Cause.BYE_RECEIVED)
        self._stop(now)
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

    def accept(
        self, key: ServerKey, invite: Request, flow: Flow, *, body: bytes, extra: Extra = (), now: float
    ) -> None:
        """Answer an INVITE with 200, and repeat that until its ACK is here."""
        context = self._context
        self.offers.noted(invite)
        response = self.offers.success(invite, flow, body, extra=extra, now=now)
        context.transactions.respond(key, response, now=now)
        self._machine.step(Cause.ACCEPTED)
        self._unacked = AcceptedInvite(key, response, timings=context.timings, now=now)

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
        self._context.emit(CallConfirmed(self._context.handle))
        self.offers.acknowledged(ack, now=now)
        if self.state is State.CONFIRMED:
            self._send_refer(now)
            self.offers.offer_next(now=now)

    # What we send

    def hang_up(self, cause: EndCause, detail: str = "", *, reason: str = "", now: float) -> None:
        """End the call; `reason` is the value of a Reason header (RFC 3326). Idempotent."""
        if not self._machine.step(Cause.HANG_UP):
            return
        self._stop(now)
        self._bye_headers = (("Reason", reason),) if reason else ()
        self._end(cause, detail)
        if self.state is State.CLOSING:
            self._send_bye(now)

    def leave(self, *, now: float) -> None:
        """Say BYE to a peer that another one has replaced (RFC 3891 section 3); the user is told nothing."""
        self._ended = True
        self.hang_up(EndCause.TRANSFERRED, reason='SIP;cause=200;text="Call completed elsewhere"', now=now)

    def hand_over(self, *, now: float) -> None:
        """Leave a peer whose REFER has been done; the last NOTIFY says so first."""
        self.notify(200, now=now)
        self.leave(now=now)

    def _stop(self, now: float) -> None:
        self.offers.stop()
        self._keys.stop()
        if self._referral is not None and self._referral.decide(accepted=False):
            # RFC 3261 section 15.1.2: what still waits is answered too, or its transaction would wait for ever.
            self._context.respond(self._referral.key, self._referral.request, 487, now=now)

    def _send_bye(self, now: float) -> None:
        """Say BYE, once every NOTIFY is answered: a peer may not look at one that overtakes its answer."""
        self._stop(now)
        self._bye_waits = self._client.waits_for("NOTIFY")
        if not self._bye_waits:
            self._client.send("BYE", self._bye_headers, now=now)

    def _notified(self, now: float, *, heard: bool) -> None:
        if self._referral is not None and not heard:
            self._referral.unheard()
        if self.state is not State.CLOSED:
            self._send_notice(now)
        if self._bye_waits and self.state is State.CLOSING:
            self._send_bye(now)

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

    def press(self, digits: str, *, now: float) -> bool:
        """Send keys by INFO, of which `KeysSent` tells; False where the peer takes none.

        Raises `LocalProtocolError` for what is no key, and while others are on their way.
        """
        if self.state not in _OPEN or self._keys.busy or not 0 < len(digits) <= MAX_WAITING:
            raise LocalProtocolError(f"keys need a call that is up and idle, and are {MAX_WAITING} at most")
        if not self.offers.peer_takes_info:
            return False
        self._keys.press(digits, now=now)
        return True

    def refer(self, *, accepted: bool, now: float) -> Referral | None:
        """Answer the REFER of `ReferAsked`: what is to be done for it, None where nothing is."""
        referral = self._referral
        if referral is None or not referral.decide(accepted=accepted):
            return None
        extra = (*self._context.dialog_headers(self.dialog.next_flow()), *referral.consent) if accepted else ()
        self._context.respond(referral.key, referral.request, 202 if accepted else 603, now=now, extra=extra)
        if accepted:
            self.notify(100, now=now)
        return referral if accepted else None

    def notify(self, status: int, *, now: float) -> None:
        """Tell whoever sent the REFER what its target has answered; a final status is the last."""
        if self._referral is not None and self.state in _OPEN:
            self._referral.note(status)
            self._send_notice(now)

    def _send_notice(self, now: float) -> None:
        """Send the NOTIFY that waits, once the one before is answered: a later one may overtake it on its way."""
        if self._referral is None or self._client.waits_for("NOTIFY"):
            return
        if (notice := self._referral.next_notice()) is not None:
            headers, body = notice
            self._client.send(
                "NOTIFY", (*headers, *self._context.dialog_headers(self.dialog.next_flow())), body, now=now
            )

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
                self.offers.invite_answered(key, request, response, now=now)
            case "INFO":
                self._keys.answered(response.status, now=now)
            case "UPDATE":
                self.offers.update_answered(response, now=now)
            case "REFER" if self._transfer is not None:
                self._transfer.answered(response)
                self._settle_transfer(now)
            case "NOTIFY":
                self._notified(now, heard=response.status < 300)
            case _:
                pass  # the transfer was decided by one of theirs before

    def request_failed(self, key: ClientKey, failure: Failure, *, now: float) -> None:
        """Note that a request of ours got no final response."""
        again = key.method != "INVITE" or self.state is State.OFFERING
        request = self._client.fail(key, failure, now=now, again=again)
        if request is None:
            return
        match request.method:
            case "BYE":
                self._machine.step(Cause.BYE_ANSWERED)
            case "INFO":
                self._keys.answered(408, now=now)
            case "REFER":
                if self._transfer is not None:
                    self._transfer.unanswered()
                    self._settle_transfer(now)
            case "NOTIFY":
                self._notified(now, heard=False)
            case method:
                self.offers.unanswered(method, now=now)

    def _end(self, cause: EndCause, detail: str, q850: int | None = None) -> None:
        if not self._ended:
            self._ended = True
            self._context.emit(CallEnded(self._context.handle, cause, detail, q850))
