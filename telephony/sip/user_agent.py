"""`UserAgent`: the whole of SIP without a socket or a clock (RFC 3261).

Feed it (`receive`, the calls' methods, `handle_timer`), then drain it (`poll` until None), then sleep until
`timer_at()`. Times are seconds on one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import assert_never

from telephony.errors import LegEndedError, LocalProtocolError, SipParseError
from telephony.leg import EndCause
from telephony.sip.admission import Admission, AdmissionControl, admit_all
from telephony.sip.auth import DigestServer
from telephony.sip.call_context import CallContext, Extra
from telephony.sip.call_table import Call, CallTable
from telephony.sip.destination import Destination
from telephony.sip.dialog import DialogId
from telephony.sip.events import CallForgotten, CallReplaced, MessageRefused, UserAgentOutput
from telephony.sip.flow import Flow, Transmit
from telephony.sip.inbound_call import InboundCall
from telephony.sip.inspection import (
    ACCEPT,
    ALLOW,
    SUPPORTED,
    Refusal,
    inspect_extensions,
    inspect_head,
    refusal_of,
)
from telephony.sip.message import Request, parse_message
from telephony.sip.offer_answer import Direction, LocalAudio
from telephony.sip.outbound_call import OutboundCall
from telephony.sip.replaces import OPTION_TAG, Replaces, read_replaces, without_requirement
from telephony.sip.responses import refuse_malformed, response_to, stateless_response
from telephony.sip.sdp import AddressType
from telephony.sip.session_timer import refuse_brief
from telephony.sip.transactions import (
    AckReceived,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    ServerKey,
    TransactionLayer,
    server_key,
)
from telephony.sip.transfer import refer_to
from telephony.sip.uri import SipUri
from telephony.sip.user_agent_config import UserAgentConfig


class UserAgent:
    """Takes and places calls."""

    def __init__(
        self,
        config: UserAgentConfig,
        *,
        new_token: Callable[[], str],  # 32 hex digits that nobody can guess, new each time
        admit: Admission = admit_all,
    ) -> None:
        self._config = config
        self._new_token = new_token
        digest = DigestServer(
            realm=config.realm,
            passwords=config.passwords,
            secret=new_token().encode(),
            algorithms=config.digest_algorithms,
            qualities=config.digest_qualities,
        )
        self._admission = AdmissionControl(
            digest=digest if config.passwords else None, admit=admit, address_type=config.address_type
        )
        self._transactions = TransactionLayer(timings=config.timings, max_transactions=config.max_transactions)
        self._calls = CallTable()
        self._output: deque[UserAgentOutput] = deque()

    @property
    def family(self) -> AddressType:
        """The family of our addresses, which that of a peer has to be."""
        return self._config.address_type

    def trusts(self, flow: Flow) -> bool:
        """Whether the word of whoever is there on who calls is believed."""
        return self._config.trusted.allows(flow.host)

    @property
    def call_count(self) -> int:
        """How many calls are kept, those being closed included."""
        return len(self._calls)

    @property
    def transaction_count(self) -> int:
        """How many transactions are kept."""
        return len(self._transactions)

    def poll(self) -> UserAgentOutput | None:
        """Next output."""
        return self._output.popleft() if self._output else None

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        times = (self._transactions.timer_at(), self._calls.timer_at())
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        self._transactions.handle_timer(now=now)
        self._pump(now)
        while (due := self._calls.pop_due(now)) is not None:
            due[1].handle_timer(now=now)
            self._pump(now, due[0])

    # From the network

    def receive(self, data: bytes, source: Flow, *, now: float) -> None:
        """Take one datagram, or one message cut from a stream. Never raises for what it holds."""
        if not data.strip(b"\r\n\x00 "):
            return  # a keep-alive (RFC 5626 section 3.5.1), in one of the ways it is written
        try:
            message = parse_message(data)
        except SipParseError as error:
            self._output.append(MessageRefused(source, str(error)))
            if (answer := refuse_malformed(data, error)) is not None:
                self._output.append(Transmit(answer, source))
            return
        self._transactions.receive(message, source, now=now)
        self._pump(now)

    def flow_lost(self, flow: Flow, *, now: float) -> None:
        """Note that a connection broke or could not be opened."""
        for call in self._calls:
            call.flow_lost(flow)
        self._transactions.flow_lost(flow)
        self._pump(now)

    # From the user

    def answer(self, handle: str, local: LocalAudio, *, now: float) -> None:
        """Answer an inbound call: 200 with our SDP. Raises `LegEndedError` when the call is over."""
        self._inbound(handle).answer(local, now=now)
        self._pump(now, handle)

    def reject(
        self,
        handle: str,
        status: int,
        *,
        retry_after_s: int | None = None,
        cause: EndCause = EndCause.REJECTED,
        detail: str = "",
        now: float,
    ) -> None:
        """Refuse an inbound call with a status of 300 to 699. Raises `LegEndedError` when the call is over."""
        call = self._inbound(handle)
        call.reject(status, retry_after_s=retry_after_s, cause=cause, detail=detail, now=now)
        self._pump(now, handle)

    def hang_up(
        self, handle: str, cause: EndCause = EndCause.BOT_HUNG_UP, detail: str = "", *, reason: str = "", now: float
    ) -> None:
        """End a call in whatever state it is, by CANCEL, 480 or BYE. Idempotent."""
        call = self._calls.get(handle)
        if call is not None:
            call.hang_up(cause, detail, reason=reason, now=now)
            self._pump(now, handle)

    def reoffer(self, handle: str, direction: Direction, *, now: float) -> None:
        """Send a re-INVITE with this direction. Raises `LegEndedError` when the call is over."""
        self._call(handle).reoffer(direction, now=now)
        self._pump(now, handle)

    def transfer(self, handle: str, target: SipUri | None, *, consult: str | None = None, now: float) -> None:
        """Ask the far end to call somebody else (REFER); `TransferEnded` says what became of it.

        With `consult`, the handle of another call, it is to talk to that call's far end in our place, and `target`
        may be None: where that far end is. Raises `LegEndedError` when a call is over, `LocalProtocolError` when it
        is not up.
        """
        call, replaces = self._call(handle), None
        if consult is not None:
            dialog = self._call(consult).dialog
            if dialog is None:
                raise LocalProtocolError("the other call is not answered yet")
            target, replaces = target or dialog.target, dialog.id
        if target is None:
            raise LocalProtocolError("a transfer needs a target")
        call.transfer(refer_to(target, replaces=replaces), now=now)
        self._pump(now, handle)

    def press(self, handle: str, digits: str, *, now: float) -> bool:
        """Send keys by INFO, of which `KeysSent` tells; False where the far end takes none.

        Raises `LegEndedError` when the call is over, and `LocalProtocolError`.
        """
        taken = self._call(handle).press(digits, now=now)
        self._pump(now, handle)
        return taken

    def follow(self, handle: str, flows: Sequence[Flow], *, now: float) -> None:
        """Call the target of `CallRedirected` at these servers; none when it is not to be called."""
        call = self._calls.get(handle)
        if isinstance(call, OutboundCall):
            call.follow(flows, now=now)
            self._pump(now, handle)

    def place_call(self, destination: Destination, local: LocalAudio, *, now: float) -> str:
        """Send an INVITE; returns the handle that the events of the call carry."""
        context = self._context(secure=destination.target.scheme == "sips")
        self._calls.put(context.handle, OutboundCall(context, destination, local, now=now))
        self._pump(now, context.handle)
        return context.handle

    def sip_call_id(self, handle: str) -> str:
        """Tell the SIP Call-ID of a call. Raises `LegEndedError` when the call is over."""
        return self._call(handle).call_id

    def _call(self, handle: str) -> Call:
        call = self._calls.get(handle)
        if call is None:
            raise LegEndedError("the call is over")
        return call

    def _inbound(self, handle: str) -> InboundCall:
        call = self._call(handle)
        if not isinstance(call, InboundCall):
            raise LocalProtocolError("a call that was placed here is not answered or rejected here")
        return call

    # Between the layers

    def _context(self, *, secure: bool) -> CallContext:
        return CallContext(
            self._new_token(),
            self._config.identity,
            self._config.timings,
            self._transactions,
            self._new_token,
            self._output.append,
            self._config.limits,
            SUPPORTED | {OPTION_TAG} if self._config.accepts_replaces else SUPPORTED,
            secure,
        )

    def _pump(self, now: float, touched: str | None = None) -> None:
        """Hand on all that the transactions put out, and note what that did to the calls."""
        if touched is not None:
            self._settle(touched)
        while (output := self._transactions.poll()) is not None:
            match output:
                case Transmit():
                    self._output.append(output)
                case RequestReceived(key, request, flow):
                    self._settle(self._receive_request(key, request, flow, now))
                case AckReceived(request):
                    self._settle(self._receive_ack(request, now))
                case ResponseReceived():
                    if (call := self._calls.get(output.owner)) is not None:
                        call.receive_response(output, now=now)
                        self._settle(output.owner)
                case RequestFailed(owner, key, failure):
                    if (call := self._calls.get(owner)) is not None:
                        call.request_failed(key, failure, now=now)
                        self._settle(owner)
                case _:
                    assert_never(output)

    def _settle(self, handle: str | None) -> None:
        """Note a call's next timer and dialog; forget it once it is over."""
        call = None if handle is None else self._calls.settle(handle)
        if handle is not None and call is not None:
            self._output.append(CallForgotten(handle, call.call_id))

    def _receive_ack(self, ack: Request, now: float) -> str | None:
        found = self._calls.of_dialog(DialogId(ack.call_id, ack.to.tag, ack.from_.tag))
        if found is None:
            return None
        found[1].receive_ack(ack, now=now)
        return found[0]

    def _receive_request(self, key: ServerKey, request: Request, flow: Flow, now: float) -> str | None:
        """Act on a new request; returns the call that it touched."""
        try:
            refusal = inspect_head(request, transport=flow.transport)
            if refusal is not None:
                self._refuse(key, request, refusal, now)
                return None
            if request.method == "CANCEL":
                return self._receive_cancel(key, request, now)
            if request.to.tag:
                return self._receive_within_dialog(key, request, flow, now)
            return self._receive_outside_dialog(key, request, flow, now)
        except SipParseError as error:
            self._output.append(MessageRefused(flow, str(error)))
            self._refuse(key, request, refusal_of(error), now)
            return None

    def _refuse(self, key: ServerKey, request: Request, refusal: Refusal, now: float) -> None:
        if refusal.status == 401:
            # Section 26.3.2.4: a stranger's INVITE costs no state, and a forged address gets one challenge.
            headers = (*refusal.extra, ("Server", self._config.identity.product))
            self._transactions.answer_and_forget(key, stateless_response(request, 401, extra=headers))
            return
        self._respond(key, request, refusal.status, now, refusal.extra)

    def _respond(
        self, key: ServerKey, request: Request, status: int, now: float, extra: Extra = (), to_tag: str = ""
    ) -> None:
        tag = to_tag or self._new_token()[:16]
        headers = (*extra, ("Server", self._config.identity.product))
        self._transactions.respond(key, response_to(request, status, to_tag=tag, extra=headers), now=now)

    def _receive_cancel(self, key: ServerKey, cancel: Request, now: float) -> str | None:
        """Section 9.2: the CANCEL itself is answered 200 whenever its INVITE is known, even too late."""
        invite_key = server_key(cancel, "INVITE")
        found = self._calls.of_invite(invite_key)
        known = self._transactions.has_server(invite_key)
        self._respond(
            key, cancel, 200 if known else 481, now, to_tag="" if found is None else found[1].dialog_id.local_tag
        )
        if found is None:
            return None
        found[1].cancel(now=now)
        return found[0]

    def _receive_within_dialog(self, key: ServerKey, request: Request, flow: Flow, now: float) -> str | None:
        found = self._calls.of_dialog(DialogId(request.call_id, request.to.tag, request.from_.tag))
        if found is None:
            self._respond(key, request, 481, now)
            return None
        refusal = inspect_extensions(request)
        if refusal is not None:
            self._refuse(key, request, refusal, now)
        else:
            found[1].receive_request(key, request, flow, now=now)
        return found[0]

    def _receive_outside_dialog(self, key: ServerKey, request: Request, flow: Flow, now: float) -> str | None:
        if request.method == "REFER":
            self._respond(key, request, 403, now)  # nobody makes us call by asking
            return None
        replaces = read_replaces(request) if self._config.accepts_replaces else None
        merged = self._transactions.is_merged(key, request)
        examined = request if replaces is None else without_requirement(request)
        refusal = self._admission.examine(examined, source=flow.host, merged=merged, trusted=self.trusts(flow), now=now)
        if refusal is not None:
            self._refuse(key, request, refusal, now)
            return None
        if request.method == "INVITE" and (brief := refuse_brief(request, self._config.limits)) is not None:
            self._refuse(key, request, brief, now)
            return None
        if request.method == "OPTIONS":
            self._respond(key, request, 200, now, (ALLOW, ACCEPT))
            return None
        if replaces is not None:
            return self._replace(key, request, flow, replaces, now)
        return self._begin(key, request, flow, now)

    def _replace(self, key: ServerKey, invite: Request, flow: Flow, replaces: Replaces, now: float) -> str | None:
        """Let a call of ours go on with whoever sent this INVITE (RFC 3891 section 3)."""
        found = self._calls.of_dialog(replaces.dialog)
        if found is None or replaces.early_only:
            self._respond(key, invite, 481 if found is None else 486, now)
            return None
        handle, before = found
        context = replace(self._context(secure=invite.uri.scheme == "sips"), handle=handle)
        call = InboundCall(context, key, invite, flow, rings=False, now=now)
        local = before.leave(now=now)
        if local is None:
            self._respond(key, invite, 491, now)
            return None
        self._output.append(CallReplaced(handle, before.call_id, call.call_id))
        self._calls.put(handle, call)
        call.answer(local, now=now)
        return handle

    def _begin(self, key: ServerKey, invite: Request, flow: Flow, now: float) -> str:
        context = self._context(secure=invite.uri.scheme == "sips")
        call = InboundCall(context, key, invite, flow, now=now)
        self._calls.put(context.handle, call)
        return context.handle
