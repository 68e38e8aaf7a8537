"""`EarlyDialogs`: what 101 to 199 to our INVITE begin: PRACK, early media, UPDATE (RFC 3262, RFC 3960, RFC 3311)."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from telephony.errors import RemoteProtocolError, SdpError, SipParseError
from telephony.media import MediaParameters
from telephony.sip.body import session_description
from telephony.sip.call_context import CallContext
from telephony.sip.dialog import Dialog, DialogId, contact_of
from telephony.sip.events import MediaAgreed
from telephony.sip.flow import Flow
from telephony.sip.inspection import refusal_of, warning
from telephony.sip.message import Request, Response, header_number
from telephony.sip.negotiation import Negotiation
from telephony.sip.responses import response_to
from telephony.sip.transactions import ServerKey

MAX_FORKS = 16
"""Branches of one INVITE that are followed; a proxy may fork it without limit."""

_MAX_RSEQ = 2**32 - 1


@dataclass(slots=True)
class EarlyDialog:
    """One branch of the INVITE, by the tag of its To."""

    negotiation: Negotiation  # its own copy: every branch answers the same offer
    dialog: Dialog | None = None  # begun by a reliable response
    number: int = 0  # RSeq of the last one
    agreed: MediaParameters | None = None  # the answer came reliably, so it stands
    described: Response | None = None  # the last one with SDP


class EarlyDialogs:
    """All branches of one INVITE before its 2xx."""

    def __init__(self, context: CallContext, negotiation: Negotiation) -> None:
        self._context = context
        self._negotiation = negotiation
        self._branches: dict[str, EarlyDialog] = {}

    @property
    def ids(self) -> tuple[DialogId, ...]:
        """Dialogs in which the far end may send requests already."""
        return tuple(branch.dialog.id for branch in self._branches.values() if branch.dialog is not None)

    def branch(self, tag: str) -> EarlyDialog:
        """Find the branch with this tag, or one that knows nothing yet."""
        return self._branches.get(tag) or EarlyDialog(copy.copy(self._negotiation))

    def receive(self, invite: Request, response: Response, flow: Flow, *, now: float) -> None:
        """Take a response from 101 to 199; what is not sound in it is passed over."""
        branch = self.branch(response.to.tag)
        if len(self._branches) >= MAX_FORKS and response.to.tag not in self._branches:
            return
        try:
            reliable = self._acknowledge(branch, invite, response, flow, now)
            description = session_description(response)
            if reliable is None or description is None or branch.agreed is not None:
                return
            # What comes unreliably is a foretaste of the answer in the 2xx, not the answer.
            negotiation = branch.negotiation if reliable else copy.copy(branch.negotiation)
            parameters = negotiation.take_answer(description)
        except RemoteProtocolError:
            return
        finally:
            self._branches[response.to.tag] = branch
        branch.described = response
        branch.agreed = parameters if reliable else None
        self._context.emit(MediaAgreed(self._context.handle, parameters, early=True))

    def _acknowledge(
        self, branch: EarlyDialog, invite: Request, response: Response, flow: Flow, now: float
    ) -> bool | None:
        """Send PRACK (RFC 3262 section 4); None for a repetition, and for one out of order."""
        if "100rel" not in {tag.lower() for tag in response.headers.listed("Require")}:
            return False
        number = header_number(response, "RSeq", maximum=_MAX_RSEQ)
        if number is None or (branch.number and number != branch.number + 1):
            return None
        dialog = branch.dialog = branch.dialog or Dialog.of_callee(invite, response, flow=flow)
        branch.number = number
        way = dialog.next_flow()
        rack = ("RAck", f"{number} {invite.cseq}")
        agent = ("User-Agent", self._context.identity.product)
        self._context.send(dialog.request("PRACK", via=self._context.via(way), extra=(rack, agent)), way, now=now)
        return True

    def receive_request(self, key: ServerKey, request: Request, *, now: float) -> None:
        """Take a request of the far end before its 2xx: an UPDATE, which may change the early media."""
        branch = self.branch(request.from_.tag)
        context = self._context
        if branch.dialog is None or request.method != "UPDATE":
            context.respond(key, request, 481, now=now)
            return
        if not branch.dialog.take_cseq(request):
            context.respond(key, request, 500, now=now)
            return
        try:
            offer, target = session_description(request), contact_of(request)
            if offer is not None and branch.agreed is None:
                # RFC 3311 section 5.2: our own offer has no answer yet.
                context.respond(key, request, 491, now=now)
                return
            body = b""
            if offer is not None:
                body, branch.agreed = branch.negotiation.answer(offer)
        except SipParseError as error:
            refusal = refusal_of(error)
            context.respond(key, request, refusal.status, now=now, extra=refusal.extra)
        except SdpError as error:
            context.respond(key, request, error.status, now=now, extra=warning(error))
        else:
            branch.dialog.refresh_target(target)
            headers = (*context.dialog_headers(branch.dialog.next_flow()), *context.describe(body))
            context.transactions.respond(key, response_to(request, 200, extra=headers, body=body), now=now)
            if offer is not None and branch.agreed is not None:
                context.emit(MediaAgreed(context.handle, branch.agreed, early=True))
