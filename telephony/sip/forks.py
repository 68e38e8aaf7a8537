"""`Forks`: a proxy forked our INVITE and more than one answered; all but the first are hung up at once."""

from __future__ import annotations

from telephony.errors import SipParseError
from telephony.sip.call_context import CallContext
from telephony.sip.dialog import Dialog
from telephony.sip.early_dialogs import MAX_FORKS
from telephony.sip.flow import Flow
from telephony.sip.message import Request, Response


class Forks:
    """Answers of other branches (RFC 3261 section 13.2.2.4)."""

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._acks: dict[str, Request] = {}  # by the branch's tag

    def close(self, invite: Request, response: Response, flow: Flow, *, early: Dialog | None, now: float) -> None:
        """Acknowledge a 2xx and say BYE; a repeated one is only acknowledged again."""
        tag = response.to.tag
        if tag in self._acks:
            self._context.transactions.send_stateless(self._acks[tag], flow)
            return
        if len(self._acks) >= MAX_FORKS:
            return
        try:
            dialog = early or Dialog.of_callee(invite, response, flow=flow)
        except SipParseError:
            return
        way = dialog.next_flow()
        ack = self._acks[tag] = dialog.ack(invite, via=self._context.via(way))
        self._context.transactions.send_stateless(ack, way)
        self._context.send(dialog.request("BYE", via=self._context.via(way)), way, now=now)
