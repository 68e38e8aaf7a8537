"""`UserAgent`: the whole of SIP without a socket or a clock (RFC 3261).

Feed it (`receive`, the calls' methods, `handle_timer`), then drain it (`poll` until None), then sleep until
`timer_at()`. Times are seconds on one monotonic clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import assert_never

from telephony.errors import LegEndedError, LocalProtocolError, SipParseError
from telephony.leg import EndCause
from telephony.sip.admission import Admission, AdmissionControl, admit_all
from telephony.sip.auth import DigestServer
from telephony.sip.call_context import CallContext
from telephony.sip.call_table import Call, CallTable
from telephony.sip.destination import Destination
from telephony.sip.events import CallForgotten, CallReplaced, MessageRefused, TargetCalled, UserAgentOutput
from telephony.sip.flow import Flow, Transmit
from telephony.sip.inbound_call import InboundCall
from telephony.sip.inspection import (
    SUPPORTED,
)
from telephony.sip.message import parse_message
from telephony.sip.offer_answer import Direction, LocalAudio, with_new_keys
from telephony.sip.outbound_call import OutboundCall
from telephony.sip.referrals import Progressed, Referrals, Succeeded
from telephony.sip.replaces import OPTION_TAG
from telephony.sip.responses import refuse_malformed
from telephony.sip.sdp import AddressType
from telephony.sip.transactions import (
    AckReceived,
    LayerOutput,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    TransactionLayer,
)
from telephony.sip.transfer import refer_to
from telephony.sip.uas import UasCore
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
        admission = AdmissionControl(
            digest=digest if config.passwords else None,
            admit=admit,
            address_type=config.address_type,
            abilities=config.abilities,
        )
        self._transactions = TransactionLayer(timings=config.timings, max_transactions=config.max_transactions)
        self._calls = CallTable()
        self._heeds_refer = self._refer_policy()
        self._output: deque[UserAgentOutput] = deque()
        self._referrals = Referrals(self._output.append)
        self._uas = UasCore(
            config,
            transactions=self._transactions,
            calls=self._calls,
            admission=admission,
            context=self._context,
            new_token=new_token,
            outer=self._referrals.outer,
            put=self._output.append,
        )

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
        times = (self._transactions.timer_at(), self._calls.timer_at(), self._referrals.timer_at())
        return min((at for at in times if at is not None), default=None)

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        self._transactions.handle_timer(now=now)
        self._referrals.handle_timer(now=now)
        self._pump(now)
        while (due := self._calls.pop_due(now)) is not None:
            due[1].handle_timer(now=now)
            self._settle(due[0])
            self._pump(now)

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
        call = self._calls.get(self._referrals.inner(handle))
        if call is not None:
            call.hang_up(cause, detail, reason=reason, now=now)
        else:
            self._referrals.hang_up(handle, cause, detail)
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

    def refer(self, handle: str, flows: Sequence[Flow], *, now: float) -> None:
        """Call whom `ReferAsked` names at these servers, and let the call go on there; none: decline."""
        call = self._calls.get(self._referrals.inner(handle))
        session = None if call is None else call.session
        referral = None if session is None else session.refer(accepted=bool(flows), now=now)
        if call is not None and call.local is not None and referral is not None:
            context = self._context(referral.target.scheme == "sips")
            self._referrals.begin(context.handle, handle, give_up_at=now + self._config.limits.transfer_s)
            destination = Destination(referral.target, flows[0], extra=referral.extra, others=tuple(flows[1:]))
            placed = OutboundCall(context, destination, with_new_keys(call.local, new_token=self._new_token), now=now)
            self._calls.put(context.handle, placed)
            self._output.append(TargetCalled(handle, placed.call_id))
            self._settle(context.handle)
        self._pump(now, handle)

    def place_call(self, destination: Destination, local: LocalAudio, *, now: float) -> str:
        """Send an INVITE; returns the handle that the events of the call carry."""
        context = self._context(destination.target.scheme == "sips")
        self._calls.put(context.handle, OutboundCall(context, destination, local, now=now))
        self._pump(now, context.handle)
        return context.handle

    def sip_call_id(self, handle: str) -> str:
        """Tell the SIP Call-ID of a call. Raises `LegEndedError` when the call is over."""
        return self._call(handle).call_id

    def _call(self, handle: str) -> Call:
        call = self._calls.get(self._referrals.inner(handle))
        if call is None:
            raise LegEndedError("the call is over")
        return call

    def _inbound(self, handle: str) -> InboundCall:
        call = self._call(handle)
        if not isinstance(call, InboundCall):
            raise LocalProtocolError("a call that was placed here is not answered or rejected here")
        return call

    # Between the layers

    def _context(self, secure: bool) -> CallContext:
        return CallContext(
            self._new_token(),
            self._config.identity,
            self._config.timings,
            self._transactions,
            self._new_token,
            self._referrals.emit,
            self._config.limits,
            SUPPORTED | {OPTION_TAG} if self._config.accepts_replaces else SUPPORTED,
            secure,
            self._heeds_refer,
        )

    def _refer_policy(self) -> Callable[[Flow], bool] | None:
        if self._config.heeds_refer == "never":
            return None
        return self.trusts if self._config.heeds_refer == "trusted" else lambda _: True

    def _pump(self, now: float, touched: str | None = None) -> None:
        """Hand on all that the transactions put out, and note what that did to the calls."""
        if touched is not None:
            self._settle(self._referrals.inner(touched))
        self._step(now)
        while (output := self._transactions.poll()) is not None:
            self._take(output, now)
            self._step(now)

    def _step(self, now: float) -> None:
        """Do what has become due for calls that were referred to somebody else."""
        while (step := self._referrals.poll()) is not None:
            match step:
                case Progressed(handle, status):
                    call = self._calls.get(self._referrals.inner(handle))
                    if call is not None and call.session is not None:
                        call.session.notify(status, now=now)
                case Succeeded(handle, before, agreed):
                    old, new = self._calls.get(before), self._call(handle)
                    self._output.append(CallReplaced(handle, "" if old is None else old.call_id, new.call_id))
                    self._output.append(agreed)
                    if old is not None:
                        old.hand_over(now=now)
                        self._settle(before)
                case _:
                    call = self._calls.get(step.inner)
                    if call is not None:
                        call.hang_up(EndCause.BOT_HUNG_UP, now=now)
                        self._settle(step.inner)

    def _take(self, output: LayerOutput, now: float) -> None:
        match output:
            case Transmit():
                self._output.append(output)
            case RequestReceived(key, request, flow):
                self._settle(self._uas.receive(key, request, flow, now=now))
            case AckReceived(request):
                self._settle(self._uas.receive_ack(request, now=now))
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
            self._transactions.release(handle)
            self._output.append(CallForgotten(self._referrals.outer(handle), call.call_id))
            self._referrals.forget(handle)
