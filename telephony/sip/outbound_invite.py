"""`OutboundInvite`: writes every INVITE of one call that we place, and the CANCEL that takes one back."""

from __future__ import annotations

from dataclasses import replace

from telephony.sip.address import NameAddr
from telephony.sip.call_context import CallContext, Extra
from telephony.sip.destination import Destination
from telephony.sip.flow import Flow
from telephony.sip.headers import Headers
from telephony.sip.message import CSeq, Request
from telephony.sip.uri import SipUri


class OutboundInvite:
    """Each goes by its own way and has a number of its own; From, To, Call-ID and offer stay (RFC 3261 8.1.3.4)."""

    def __init__(self, context: CallContext, destination: Destination, offer: bytes) -> None:
        self._context = context
        self._destination = destination
        self._offer = offer
        self._number = 0
        self._to = NameAddr(replace(destination.target, headers=""))
        self.call_id = f"{context.new_token()}@{context.identity.host}"
        self._from = context.from_address(destination.caller, context.new_token()[:16], domain=destination.domain)

    def next(self, target: SipUri, flow: Flow, extra: Extra) -> Request:
        """Write the next one."""
        context = self._context
        self._number += 1
        headers = (
            ("Via", str(context.via(flow))),
            ("Max-Forwards", "70"),
            ("From", str(self._from)),
            ("To", str(self._to)),
            ("Call-ID", self.call_id),
            ("CSeq", str(CSeq(self._number, "INVITE"))),
            *context.dialog_headers(flow),
            ("User-Agent", context.identity.product),
            *context.describe(self._offer),
            *self._destination.extra,
            *extra,
        )
        return Request("INVITE", target, Headers(headers), self._offer)


def cancel_of(invite: Request) -> Request:
    """Take an INVITE back: its own Request-URI, Via, From, To, Call-ID, CSeq number and Route (section 9.1)."""
    same = {"Via", "From", "To", "Call-ID", "Route", "Max-Forwards"}
    headers = [item for item in invite.headers.items if item[0] in same]
    headers.append(("CSeq", str(CSeq(invite.cseq.number, "CANCEL"))))
    return Request("CANCEL", invite.uri, Headers(tuple(headers)))
