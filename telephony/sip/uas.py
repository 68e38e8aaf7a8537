"""`UasCore`: what is done with a request: refuse it, begin a call, or hand it to one (RFC 3261 section 8.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from telephony.errors import SipParseError
from telephony.sip.admission import AdmissionControl
from telephony.sip.call_context import CallContext, Extra
from telephony.sip.call_table import CallTable
from telephony.sip.dialog import DialogId
from telephony.sip.events import CallReplaced, MessageRefused, UserAgentOutput
from telephony.sip.flow import Flow
from telephony.sip.inbound_call import InboundCall
from telephony.sip.inspection import (
    ACCEPT,
    ALLOW,
    ALLOW_REFER,
    Refusal,
    inspect_extensions,
    inspect_head,
    refusal_of,
)
from telephony.sip.message import Request
from telephony.sip.offer_answer import with_new_keys
from telephony.sip.replaces import Replaces, read_replaces, without_requirement
from telephony.sip.responses import response_to, stateless_response
from telephony.sip.session_timer import refuse_brief
from telephony.sip.transactions import ServerKey, TransactionLayer, server_key
from telephony.sip.user_agent_config import UserAgentConfig


class UasCore:
    """Acts on requests; what comes of one within a call is the call's."""

    def __init__(
        self,
        config: UserAgentConfig,
        *,
        transactions: TransactionLayer,
        calls: CallTable,
        admission: AdmissionControl,
        context: Callable[[bool], CallContext],
        new_token: Callable[[], str],
        outer: Callable[[str], str],
        put: Callable[[UserAgentOutput], None],
    ) -> None:
        """`context(secure)` makes what a new call is given; `outer` gives the user's handle of a call."""
        self._config = config
        self._transactions = transactions
        self._calls = calls
        self._admission = admission
        self._context = context
        self._new_token = new_token
        self._outer = outer
        self._put = put

    def receive_ack(self, ack: Request, *, now: float) -> str | None:
        """Take the ACK for a 2xx of ours; returns the call that it touched."""
        found = self._calls.of_dialog(DialogId(ack.call_id, ack.to.tag, ack.from_.tag))
        if found is None:
            return None
        found[1].receive_ack(ack, now=now)
        return found[0]

    def receive(self, key: ServerKey, request: Request, flow: Flow, *, now: float) -> str | None:
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
            self._put(MessageRefused(flow, str(error)))
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
        """Section 9.2: the CANCEL itself is answered 200 whenever its INVITE is known, even too late.

        Many write branches that can be guessed; what section 9.1 has a CANCEL repeat of its INVITE has to fit too.
        """
        invite_key = server_key(cancel, "INVITE")
        found = self._calls.of_invite(invite_key)
        known = self._transactions.has_server(invite_key)
        if found is not None:
            dialog = found[1].dialog_id
            if (dialog.call_id, dialog.remote_tag) != (cancel.call_id, cancel.from_.tag):
                found, known = None, False
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
        trusted = self._config.trusted.allows(flow.host)
        refusal = self._admission.examine(examined, source=flow.host, merged=merged, trusted=trusted, now=now)
        if refusal is not None:
            self._refuse(key, request, refusal, now)
            return None
        if request.method == "INVITE" and (brief := refuse_brief(request, self._config.limits)) is not None:
            self._refuse(key, request, brief, now)
            return None
        if request.method == "OPTIONS":
            allow = ALLOW if self._config.heeds_refer == "never" else ALLOW_REFER
            self._respond(key, request, 200, now, (allow, ACCEPT))
            return None
        if replaces is not None and not (trusted or self._config.passwords or not self._config.trusted.names_anybody):
            # RFC 3891 section 3: whoever may not is told so. Who got here with a password may.
            self._respond(key, request, 403, now)
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
        context = replace(self._context(invite.uri.scheme == "sips"), handle=handle)
        call = InboundCall(context, key, invite, flow, rings=False, now=now)
        local = before.leave(now=now)
        if local is None:
            self._respond(key, invite, 491, now)
            return None
        self._put(CallReplaced(self._outer(handle), before.call_id, call.call_id))
        self._calls.put(handle, call)
        call.answer(with_new_keys(local, new_token=self._new_token), now=now)
        return handle

    def _begin(self, key: ServerKey, invite: Request, flow: Flow, now: float) -> str:
        context = self._context(invite.uri.scheme == "sips")
        call = InboundCall(context, key, invite, flow, now=now)
        self._calls.put(context.handle, call)
        return context.handle
