"""`CallContext`: what every call of a user agent is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from telephony.sip.address import NameAddr
from telephony.sip.call_limits import DEFAULT_LIMITS, CallLimits
from telephony.sip.events import CallEvent, CallOffered
from telephony.sip.flow import Flow
from telephony.sip.identity import Identity
from telephony.sip.inspection import ALLOW, ALLOW_REFER, SUPPORTED
from telephony.sip.message import Request
from telephony.sip.responses import response_to
from telephony.sip.timers import Timings
from telephony.sip.transactions import ClientKey, ServerKey, TransactionLayer
from telephony.sip.uri import bracketed
from telephony.sip.via import BRANCH_COOKIE, Via

Extra: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CallContext:
    """One call's access to the layers below and to the user above."""

    handle: str
    identity: Identity
    timings: Timings
    transactions: TransactionLayer
    new_token: Callable[[], str]  # 32 hex digits that nobody can guess
    emit: Callable[[CallOffered | CallEvent], None]
    limits: CallLimits = DEFAULT_LIMITS
    extensions: frozenset[str] = SUPPORTED  # option tags that we name
    secure: bool = False  # the call was asked for by a sips: URI
    heeds_refer: Callable[[Flow], bool] | None = None  # from whom REFER is heeded; None: from nobody

    def fraction(self) -> float:
        """Pick a number from 0 to 1 that is different each time, for back-off."""
        return int(self.new_token()[:8], 16) / 0xFFFF_FFFF

    def via(self, flow: Flow) -> Via:
        """Begin a transaction: a Via with a branch of its own."""
        return self.identity.via(flow, branch=f"{BRANCH_COOKIE}{self.new_token()}")

    def send(self, request: Request, flow: Flow, *, now: float) -> ClientKey:
        """Send a request; its responses come back to this call."""
        return self.transactions.send(request, flow, owner=self.handle, now=now)

    def respond(
        self, key: ServerKey, request: Request, status: int, *, now: float, to_tag: str = "", extra: Extra = ()
    ) -> None:
        """Answer a request without a body."""
        server = ("Server", self.identity.product)
        self.transactions.respond(key, response_to(request, status, to_tag=to_tag, extra=(*extra, server)), now=now)

    def dialog_headers(self, flow: Flow) -> Extra:
        """Give the headers of requests and responses that begin or refresh a dialog (section 12.1.1)."""
        supported = ("Supported", ", ".join(sorted(self.extensions)))
        return (self.identity.contact(flow, secure=self.secure), self.allow, supported)

    @property
    def allow(self) -> tuple[str, str]:
        """The Allow header: which methods we take."""
        return ALLOW if self.heeds_refer is None else ALLOW_REFER

    def describe(self, body: bytes) -> Extra:
        """Give the headers that come with SDP."""
        return (("Content-Type", "application/sdp"),) if body else ()

    def from_address(self, user: str, tag: str, *, domain: str = "") -> NameAddr:
        """Write ourselves as a caller; a trunk knows us by its own domain."""
        ours = replace(self.identity.uri(), userinfo=user or self.identity.user)
        return NameAddr(replace(ours, host=bracketed(domain), port=None) if domain else ours).with_tag(tag)
