"""`Session`: a call after its first 2xx, whichever side placed it (RFC 3261 sections 12.2, 13.3.1.4, 14, 15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from telephony.errors import RemoteProtocolError, SdpError, SipParseError
from telephony.leg import EndCause
from telephony.sip.accepted_invite import AcceptedInvite, Due
from telephony.sip.auth import Credentials, authorization
from telephony.sip.body import media_type, session_description
from telephony.sip.call_context import CallContext, Extra
from telephony.sip.dialog import Dialog, contact_of
from telephony.sip.dtmf import DTMF, DTMF_RELAY, read_digit
from telephony.sip.events import CallEnded, DigitPressed, MediaAgreed
from telephony.sip.flow import Flow
from telephony.sip.grammar import printable
from telephony.sip.inspection import ACCEPT, ALLOW, refusal_of, warning
from telephony.sip.message import Request, Response
from telephony.sip.negotiation import Negotiation
from telephony.sip.offer_answer import Direction
from telephony.sip.responses import response_to
from telephony.sip.state_table import StateMachine
from telephony.sip.timers import Timer, TimerSet
from telephony.sip.transaction import Failure
from telephony.sip.transactions import ClientKey, ServerKey

MAX_AUTHENTICATIONS = 2
"""Answers to one request's challenges: the first, and one more after a stale nonce."""

_MAX_KEPT_ACKS = 4


class State(Enum):
    """States of the machine."""

    CONFIRMED = auto()  # no INVITE is in progress
    AWAITING_ACK = auto()  # we answered an INVITE with 2xx
    OFFERING = auto()  # our re-INVITE has no final response
    CLOSING_UNACKED = auto()  # we hang up once the ACK is here: section 15 forbids BYE before it
    CLOSING = auto()  # our BYE has no final response
    CLOSED = auto()


class Cause(Enum):
    """What moves the machine."""

    ACCEPTED = auto()  # we answer an INVITE with 2xx
    ACKED = auto()
    ACK_TIMEOUT = auto()
    OFFERED = auto()  # we send a re-INVITE
    OFFER_ANSWERED = auto()  # it has a final response
    HANG_UP = auto()
    BYE_RECEIVED = auto()
    BYE_ANSWERED = auto()  # or given up


TABLE: Mapping[tuple[State, Cause], State] = {
    (State.CONFIRMED, Cause.ACCEPTED): State.AWAITING_ACK,
    (State.CONFIRMED, Cause.OFFERED): State.OFFERING,
    (State.CONFIRMED, Cause.HANG_UP): State.CLOSING,
    (State.CONFIRMED, Cause.BYE_RECEIVED): State.CLOSED,
    (State.AWAITING_ACK, Cause.ACCEPTED): State.AWAITING_ACK,  # a new INVITE shows that the 2xx arrived
    (State.AWAITING_ACK, Cause.ACKED): State.CONFIRMED,
    (State.AWAITING_ACK, Cause.ACK_TIMEOUT): State.CLOSING,
    (State.AWAITING_ACK, Cause.HANG_UP): State.CLOSING_UNACKED,
    (State.AWAITING_ACK, Cause.BYE_RECEIVED): State.CLOSED,
    (State.OFFERING, Cause.OFFER_ANSWERED): State.CONFIRMED,
    (State.OFFERING, Cause.HANG_UP): State.CLOSING,
    (State.OFFERING, Cause.BYE_RECEIVED): State.CLOSED,
    (State.CLOSING_UNACKED, Cause.ACKED): State.CLOSING,
    (State.CLOSING_UNACKED, Cause.ACK_TIMEOUT): State.CLOSING,
    (State.CLOSING_UNACKED, Cause.BYE_RECEIVED): State.CLOSED,
    (State.CLOSING, Cause.BYE_RECEIVED): State.CLOSED,
    (State.CLOSING, Cause.BYE_ANSWERED): State.CLOSED,
}
_OPEN = (State.CONFIRMED, State.AWAITING_ACK, State.OFFERING)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request of ours without a final response."""

    request: Request
    extra: Extra
    flow: Flow
    authentications: int = 0


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
        ended: bool = False,
    ) -> None:
        self.dialog = dialog
        self._context = context
        self._negotiation = negotiation
        self._placed_here = placed_here
        self._credentials = credentials
        self._machine = StateMachine(TABLE, State.CONFIRMED)
        self._timers = TimerSet()
        self._unacked: AcceptedInvite | None = None
        self._sent: dict[ClientKey, _Sent] = {}
        self._acks: dict[ClientKey, tuple[Request, Flow]] = {}
        self._next_offer: Direction | None = None
        self._bye_headers: Extra = ()
        self._ended = ended  # whether the user knows already that the call is over

    @property
    def state(self) -> State:
        """The current state."""
        return self._machine.state

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        times = (self._timers.next_at(), None if self._unacked is None else self._unacked.timer_at())
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
        elif request.method == "INVITE":
            self._receive_invite(key, request, flow, now)
        elif request.method == "INFO":
            self._receive_info(key, request, now)
        else:
            self._context.respond(key, request, 200, now=now, extra=(ALLOW, ACCEPT))

    def _receive_bye(self, key: ServerKey, request: Request, now: float) -> None:
        self._context.respond(key, request, 200, now=now)
        self._machine.step(Cause.BYE_RECEIVED)
        self._timers.stop_all()
        self._unacked = None
        self._end(EndCause.CALLER_HUNG_UP, printable(request.headers.first("Reason") or "")[:200])

    def _receive_info(self, key: ServerKey, request: Request, now: float) -> None:
        kind, _ = media_type(request.headers)
        if kind in (DTMF_RELAY, DTMF):
            digit = read_digit(kind, request.body)
            self._context.respond(key, request, 200, now=now)
            self._context.emit(DigitPressed(self._context.handle, digit))
        elif request.body:
            self._context.respond(key, request, 415, now=now, extra=(ACCEPT,))
        else:
            self._context.respond(key, request, 200, now=now)

    def _receive_invite(self, key: ServerKey, request: Request, flow: Flow, now: float) -> None:
        if self.state is State.OFFERING or self._negotiation.offer_pending:
            self._context.respond(key, request, 491, now=now)  # section 14.2
            return
        try:
            offer, target = session_description(request), contact_of(request)
            if offer is None:
                body, parameters = self._negotiation.offer(), None
            else:
                body, parameters = self._negotiation.answer(offer)
        except SipParseError as error:
            refusal = refusal_of(error)
            self._context.respond(key, request, refusal.status, now=now, extra=refusal.extra)
        except SdpError as error:
            self._context.respond(key, request, error.status, now=now, extra=warning(error))
        else:
            self.dialog.refresh_target(target)
            self.accept(key, request, flow, body=body, now=now)
            if parameters is not None:
                self._context.emit(MediaAgreed(self._context.handle, parameters))

    def accept(
        self, key: ServerKey, invite: Request, flow: Flow, *, body: bytes, extra: Extra = (), now: float
    ) -> None:
        """Answer an INVITE with 200, and repeat that until its ACK is here."""
        context = self._context
        server = ("Server", context.identity.product)
        headers = (*extra, *context.dialog_headers(flow), server, *context.describe(body))
        response = response_to(invite, 200, to_tag=self.dialog.id.local_tag, extra=headers, body=body)
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
        if self._negotiation.offer_pending:
            try:
                parameters = self._negotiation.take_answer(session_description(ack))
            except RemoteProtocolError as error:
                self.hang_up(EndCause.FAILED, str(error), reason='SIP;cause=488;text="no acceptable answer"', now=now)
                return
            self._context.emit(MediaAgreed(self._context.handle, parameters))
        self._offer_next(now)

    # What we send

    def hang_up(self, cause: EndCause, detail: str = "", *, reason: str = "", now: float) -> None:
        """End the call; `reason` is the value of a Reason header (RFC 3326). Idempotent."""
        if not self._machine.step(Cause.HANG_UP):
            return
        self._timers.stop(Timer.REOFFER)
        self._bye_headers = (("Reason", reason),) if reason else ()
        self._end(cause, detail)
        if self.state is State.CLOSING:
            self._send_bye(now)

    def _send_bye(self, now: float) -> None:
        self._send("BYE", self._bye_headers, b"", now=now)

    def reoffer(self, direction: Direction, *, now: float) -> None:
        """Send a re-INVITE with this direction: `SENDONLY` or `INACTIVE` holds the peer, `SENDRECV` resumes."""
        self._next_offer = direction
        self._offer_next(now)

    def _offer_next(self, now: float) -> None:
        """Send the re-INVITE that is wanted, as soon as no other INVITE is in progress."""
        if self._next_offer is None or not self._machine.step(Cause.OFFERED):
            return
        body = self._negotiation.offer(self._next_offer)
        flow = self.dialog.next_flow()
        extra = (*self._context.dialog_headers(flow), *self._context.describe(body))
        self._send("INVITE", extra, body, now=now)

    def _send(self, method: str, extra: Extra, body: bytes, *, now: float, authentications: int = 0) -> None:
        flow = self.dialog.next_flow()
        agent = ("User-Agent", self._context.identity.product)
        request = self.dialog.request(method, via=self._context.via(flow), extra=(*extra, agent), body=body)
        key = self._context.send(request, flow, now=now)
        self._sent[key] = _Sent(request, extra, flow, authentications)

    # What comes of it

    def receive_response(self, key: ClientKey, response: Response, *, now: float) -> None:
        """Take a response to a request of ours."""
        if key in self._acks and response.status < 300:
            self._context.transactions.send_stateless(*self._acks[key])
            return
        if response.status < 200 or (sent := self._sent.pop(key, None)) is None:
            return
        if response.status in (401, 407) and self._authenticate(sent, response, now):
            return
        if sent.request.method == "BYE":
            self._machine.step(Cause.BYE_ANSWERED)
        else:
            self._finish_offer(key, sent, response, now)

    def request_failed(self, key: ClientKey, failure: Failure, *, now: float) -> None:
        """Note that a request of ours got no final response."""
        sent = self._sent.pop(key, None)
        if sent is None:
            return
        method = sent.request.method
        wanted = method == "BYE" or self.state is State.OFFERING
        if wanted and failure is Failure.TRANSPORT and self.dialog.next_flow() != sent.flow:
            # Its connection was gone; there is another way to the peer.
            self._send(method, sent.extra, sent.request.body, now=now)
        elif method == "BYE":
            self._machine.step(Cause.BYE_ANSWERED)
        else:
            self._negotiation.drop_offer()
            self.hang_up(EndCause.FAILED, "the re-INVITE was not answered", now=now)

    def _authenticate(self, sent: _Sent, response: Response, now: float) -> bool:
        if self._credentials is None or sent.authentications >= MAX_AUTHENTICATIONS:
            return False
        answered = authorization(self._credentials, sent.request, response, cnonce=self._context.new_token())
        if answered is None or (sent.request.method == "INVITE" and self.state is not State.OFFERING):
            return False
        extra = (*(item for item in sent.extra if item[0] != answered[0]), answered)
        self._send(sent.request.method, extra, sent.request.body, now=now, authentications=sent.authentications + 1)
        return True

    def _finish_offer(self, key: ClientKey, sent: _Sent, response: Response, now: float) -> None:
        if response.status < 300:
            self.acknowledge(key, sent.request)
        self._machine.step(Cause.OFFER_ANSWERED)
        if self.state is not State.CONFIRMED:
            return
        if response.status < 300:
            self.take_answer(response, now=now)
            if self._next_offer is self._negotiation.wanted:
                self._next_offer = None
            self._offer_next(now)
        elif response.status == 491:
            # Section 14.1: whoever made the Call-ID waits longer, so that the two do not meet again.
            self._negotiation.drop_offer()
            wait_s = 2.1 + 1.9 * self._context.fraction() if self._placed_here else 2.0 * self._context.fraction()
            self._timers.start(Timer.REOFFER, now + wait_s)
        elif response.status in (408, 481):
            self._negotiation.drop_offer()
            self.hang_up(EndCause.FAILED, f"the re-INVITE was answered {response.status}", now=now)
        else:
            self._negotiation.drop_offer()
            self._next_offer = None  # section 14.1: the session goes on as it was

    def take_answer(self, response: Response, *, early: Response | None = None, now: float) -> None:
        """Take the SDP of a 2xx to our INVITE, or of a response before it; the call ends when it does not fit."""
        described = response if response.body or early is None else early
        try:
            self.dialog.refresh_target(contact_of(response))
            parameters = self._negotiation.take_answer(session_description(described))
        except RemoteProtocolError as error:
            self._negotiation.drop_offer()
            self.hang_up(EndCause.FAILED, str(error), reason='SIP;cause=488;text="no acceptable answer"', now=now)
        else:
            self._context.emit(MediaAgreed(self._context.handle, parameters))

    def acknowledge(self, key: ClientKey, invite: Request) -> None:
        """Send the ACK for a 2xx, and keep it for the 2xx's retransmissions (section 13.2.2.4)."""
        flow = self.dialog.next_flow()
        # Section 22.3: with the credentials that the INVITE had.
        kept = tuple(item for item in invite.headers.items if item[0] in ("Authorization", "Proxy-Authorization"))
        ack = self.dialog.ack(invite, via=self._context.via(flow), extra=kept)
        self._acks[key] = (ack, flow)
        if len(self._acks) > _MAX_KEPT_ACKS:
            del self._acks[next(iter(self._acks))]
        self._context.transactions.send_stateless(ack, flow)

    def _end(self, cause: EndCause, detail: str) -> None:
        if not self._ended:
            self._ended = True
            self._context.emit(CallEnded(self._context.handle, cause, detail))
