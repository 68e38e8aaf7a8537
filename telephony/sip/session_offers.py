"""`SessionOffers`: offers within an established call, ours and the peer's, and the timer that they refresh.

By re-INVITE (RFC 3261 section 14) and UPDATE (RFC 3311); session timers are those of RFC 4028.
"""

from __future__ import annotations

from collections.abc import Callable

from telephony.errors import RemoteProtocolError, SdpError, SipParseError
from telephony.media import MediaParameters
from telephony.sip.body import session_description
from telephony.sip.call_context import CallContext, Extra
from telephony.sip.dialog import Dialog, contact_of
from telephony.sip.dialog_client import DialogClient
from telephony.sip.events import MediaAgreed
from telephony.sip.flow import Flow
from telephony.sip.inspection import refusal_of, warning
from telephony.sip.message import Request, Response
from telephony.sip.negotiation import Negotiation
from telephony.sip.offer_answer import Direction
from telephony.sip.responses import response_to
from telephony.sip.session_states import Cause, State
from telephony.sip.session_timer import SessionDue, SessionTimer, refuse_brief
from telephony.sip.state_table import StateMachine
from telephony.sip.timers import Timer, TimerSet
from telephony.sip.transactions import ClientKey, ServerKey

_NO_ANSWER = 'SIP;cause=488;text="no acceptable answer"'
_EXPIRED = 'SIP;cause=408;text="session timer expired"'


class SessionOffers:
    """At most one offer is open at a time; what is wanted meanwhile waits for its end."""

    def __init__(
        self,
        context: CallContext,
        dialog: Dialog,
        negotiation: Negotiation,
        client: DialogClient,
        machine: StateMachine[State, Cause],
        *,
        timer: SessionTimer,
        placed_here: bool,
        fail: Callable[[str, str, float], None],
    ) -> None:
        """`fail(detail, reason, now)` ends the call: what was agreed cannot go on."""
        self._context = context
        self._dialog = dialog
        self._negotiation = negotiation
        self._client = client
        self._machine = machine
        self._timer = timer
        self._placed_here = placed_here
        self._fail = fail
        self._timers = TimerSet()
        self._next_offer: Direction | None = None
        self._peer_takes_update = False
        self.peer_takes_info = True  # until it names its methods

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        times = (self._timers.next_at(), self._timer.timer_at())
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        if self._timers.pop_due(now) is not None:
            self.offer_next(now=now)
        while (due := self._timer.pop_due(now=now)) is not None:
            if due is SessionDue.REFRESH:
                self._refresh(now)
            else:
                self._fail("nobody refreshed the session", _EXPIRED, now)

    def stop(self) -> None:
        """Stop: the session is over."""
        self._timers.stop_all()
        self._timer.stop()

    def noted(self, message: Request | Response) -> None:
        """Read what the peer says of itself in a message that begins or refreshes the dialog; nothing if malformed."""
        try:
            methods = {method.upper() for method in message.headers.listed("Allow")}
        except SipParseError:
            return
        if methods:
            self._peer_takes_update = "UPDATE" in methods
            self.peer_takes_info = "INFO" in methods

    # The peer's offers

    def receive(
        self, key: ServerKey, request: Request, flow: Flow, *, accept: Callable[[bytes], None], now: float
    ) -> None:
        """Take a re-INVITE (RFC 3261 section 14.2), which `accept` answers with a body, or an UPDATE (RFC 3311 5.2)."""
        is_invite = request.method == "INVITE"
        state = self._machine.state
        try:
            if (brief := refuse_brief(request, self._context.limits)) is not None:
                self._context.respond(key, request, brief.status, now=now, extra=brief.extra)
                return
            offer, target = session_description(request), contact_of(request)
            if (is_invite or offer is not None) and (state is State.OFFERING or self._negotiation.offer_pending):
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
            self._dialog.refresh_target(target)
            if is_invite:
                accept(body)
            else:
                self.noted(request)
                self._context.transactions.respond(key, self.success(request, flow, body, now=now), now=now)
            self._agreed(parameters)

    def success(self, request: Request, flow: Flow, body: bytes, *, now: float, extra: Extra = ()) -> Response:
        """Write the 200 for an INVITE or UPDATE."""
        context = self._context
        server = ("Server", context.identity.product)
        timer = self._timer.answer(request, now=now)
        headers = (*extra, *context.dialog_headers(flow), *timer, server, *context.describe(body))
        return response_to(request, 200, to_tag=self._dialog.id.local_tag, extra=headers, body=body)

    def acknowledged(self, ack: Request, *, now: float) -> None:
        """Take the ACK for our 2xx; it holds the answer when the 2xx held the offer."""
        if not self._negotiation.offer_pending:
            return
        try:
            parameters = self._negotiation.take_answer(session_description(ack))
        except RemoteProtocolError as error:
            self._fail(str(error), _NO_ANSWER, now)
        else:
            self._agreed(parameters)

    def _agreed(self, parameters: MediaParameters | None) -> None:
        if parameters is not None:
            self._context.emit(MediaAgreed(self._context.handle, parameters))

    # Our offers

    def reoffer(self, direction: Direction, *, now: float) -> None:
        """Send a re-INVITE with this direction: `SENDONLY` or `INACTIVE` holds the peer, `SENDRECV` resumes."""
        self._next_offer = direction
        self.offer_next(now=now)

    def offer_next(self, *, now: float) -> None:
        """Send the re-INVITE that is wanted, as soon as no other INVITE is in progress."""
        if self._next_offer is None or not self._machine.step(Cause.OFFERED):
            return
        body = self._negotiation.offer(self._next_offer)
        headers = self._context.dialog_headers(self._dialog.next_flow())
        self._client.send("INVITE", (*headers, *self._timer.ask(), *self._context.describe(body)), body, now=now)

    def _refresh(self, now: float) -> None:
        """Show that we live (RFC 4028 section 7.4); a re-INVITE that is under way does so too."""
        if self._peer_takes_update:
            headers = self._context.dialog_headers(self._dialog.next_flow())
            self._client.send("UPDATE", (*headers, *self._timer.ask()), now=now)
        elif self._next_offer is None:
            self.reoffer(self._negotiation.wanted, now=now)

    # What comes of them

    def unanswered(self, method: str, *, now: float) -> None:
        """Note that our re-INVITE or UPDATE got no final response."""
        self._negotiation.drop_offer()
        self._fail(f"the {'re-INVITE' if method == 'INVITE' else method} was not answered", "", now)

    def update_answered(self, response: Response, *, now: float) -> None:
        """Take the final response to an UPDATE of ours."""
        if response.status < 300:
            self._agree_timer(response, now)
        elif response.status in (408, 481):
            self._fail(f"the UPDATE was answered {response.status}", "", now)
        elif response.status in (405, 501):
            self._peer_takes_update = False
            self._refresh(now)
        elif response.status == 422 and self._timer.take_refusal(response):
            self._refresh(now)
        else:
            self._timer.refused(now=now)

    def _agree_timer(self, response: Response, now: float) -> None:
        try:
            self._timer.agreed(response, now=now)
        except SipParseError:
            self._timer.stop()

    def invite_answered(self, key: ClientKey, request: Request, response: Response, *, now: float) -> None:
        """Take the final response to a re-INVITE of ours."""
        if response.status < 300:
            self._client.acknowledge(key, request)
        self._machine.step(Cause.OFFER_ANSWERED)
        if self._machine.state is not State.CONFIRMED:
            return
        if response.status < 300:
            self.noted(response)
            self._agree_timer(response, now)
            self.take_answer(response, now=now)
            if self._next_offer is self._negotiation.wanted:
                self._next_offer = None
            self.offer_next(now=now)
            return
        self._negotiation.drop_offer()
        if response.status == 491:
            # Section 14.1: whoever made the Call-ID waits longer, so that the two do not meet again.
            wait_s = 2.1 + 1.9 * self._context.fraction() if self._placed_here else 2.0 * self._context.fraction()
            self._timers.start(Timer.REOFFER, now + wait_s)
        elif response.status in (408, 481):
            self._fail(f"the re-INVITE was answered {response.status}", "", now)
        elif response.status == 422 and self._timer.take_refusal(response):
            self.offer_next(now=now)
        else:
            self._next_offer = None  # section 14.1: the session goes on as it was
            self._timer.refused(now=now)

    def begin(self, key: ClientKey, invite: Request, response: Response, *, now: float) -> None:
        """Acknowledge the 2xx to the INVITE that placed the call, and learn from it."""
        self._client.acknowledge(key, invite)
        self.noted(response)
        self._agree_timer(response, now)

    def take_answer(self, response: Response, *, early: Response | None = None, now: float) -> None:
        """Take the SDP of a 2xx to our INVITE, or of a response before it; the call ends when it does not fit."""
        described = response if response.body or early is None else early
        try:
            self._dialog.refresh_target(contact_of(response))
            parameters = self._negotiation.take_answer(session_description(described))
        except RemoteProtocolError as error:
            self._negotiation.drop_offer()
            self._fail(str(error), _NO_ANSWER, now)
        else:
            self._agreed(parameters)
