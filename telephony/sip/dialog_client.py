"""`DialogClient`: requests of ours within one dialog, until each has its final response (RFC 3261 section 12.2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from telephony.sip.auth import Credentials, authorization
from telephony.sip.call_context import CallContext, Extra
from telephony.sip.dialog import Dialog
from telephony.sip.flow import Flow
from telephony.sip.message import Request, Response
from telephony.sip.transaction import Failure
from telephony.sip.transactions import ClientKey

MAX_AUTHENTICATIONS = 2
"""Answers to one request's challenges: the first, and one more after a stale nonce."""

_MAX_KEPT_ACKS = 4


@dataclass(frozen=True, slots=True)
class _Sent:
    request: Request
    extra: Extra
    flow: Flow
    authentications: int = 0


class DialogClient:
    """Sends requests, answers their challenges, tries another way when a connection is gone."""

    def __init__(self, context: CallContext, dialog: Dialog, *, credentials: Credentials | None) -> None:
        self._context = context
        self._dialog = dialog
        self._credentials = credentials
        self._sent: dict[ClientKey, _Sent] = {}
        self._acks: dict[ClientKey, tuple[Request, Flow]] = {}

    def send(
        self, method: str, extra: Extra = (), body: bytes = b"", *, now: float, authentications: int = 0
    ) -> ClientKey:
        """Send the next request."""
        flow = self._dialog.next_flow()
        agent = ("User-Agent", self._context.identity.product)
        request = self._dialog.request(method, via=self._context.via(flow), extra=(*extra, agent), body=body)
        key = self._context.send(request, flow, now=now)
        self._sent[key] = _Sent(request, extra, flow, authentications)
        return key

    def waits_for(self, method: str) -> bool:
        """Whether a request of that method is still to be answered."""
        return any(sent.request.method == method for sent in self._sent.values())

    def receive(self, key: ClientKey, response: Response, *, now: float, again: bool) -> Request | None:
        """Take a response: the request that it answers for good; None for any other, and for one that was asked anew.

        `again`: whether the request is still wanted, so that a challenge is worth an answer.
        """
        if key in self._acks and response.status < 300:
            self._context.transactions.send_stateless(*self._acks[key])
            return None
        if response.status < 200 or (sent := self._sent.pop(key, None)) is None:
            return None
        if again and response.status in (401, 407) and self._authenticate(sent, response, now):
            return None
        return sent.request

    def _authenticate(self, sent: _Sent, response: Response, now: float) -> bool:
        if self._credentials is None or sent.authentications >= MAX_AUTHENTICATIONS:
            return False
        answered = authorization(self._credentials, sent.request, response, cnonce=self._context.new_token())
        if answered is None:
            return False
        extra = (*(item for item in sent.extra if item[0] != answered[0]), answered)
        self.send(sent.request.method, extra, sent.request.body, now=now, authentications=sent.authentications + 1)
        return True

    def fail(self, key: ClientKey, failure: Failure, *, now: float, again: bool) -> Request | None:
        """Note that a request got no final response: the request, or None when it was sent anew, or is not known."""
        sent = self._sent.pop(key, None)
        if sent is None:
            return None
        if again and failure is Failure.TRANSPORT and self._dialog.next_flow() != sent.flow:
            # Its connection was gone; there is another way to the peer.
            self.send(sent.request.method, sent.extra, sent.request.body, now=now)
            return None
        return sent.request

    def acknowledge(self, key: ClientKey, invite: Request) -> None:
        """Send the ACK for a 2xx, and keep it for the 2xx's retransmissions (section 13.2.2.4)."""
        flow = self._dialog.next_flow()
        # Section 22.3: with the credentials that the INVITE had.
        kept = tuple(item for item in invite.headers.items if item[0] in ("Authorization", "Proxy-Authorization"))
        ack = self._dialog.ack(invite, via=self._context.via(flow), extra=kept)
        self._acks[key] = (ack, flow)
        if len(self._acks) > _MAX_KEPT_ACKS:
            del self._acks[next(iter(self._acks))]
        self._context.transactions.send_stateless(ack, flow)
