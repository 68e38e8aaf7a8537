"""`Destination`: whom to call, by which way, and as whom."""

from __future__ import annotations

from dataclasses import dataclass

from telephony.sip.auth import Credentials
from telephony.sip.call_context import Extra
from telephony.sip.flow import Flow
from telephony.sip.uri import SipUri


@dataclass(frozen=True, slots=True)
class Destination:
    """Names are resolved already: each flow is one server."""

    target: SipUri
    flow: Flow  # where the INVITE goes
    caller: str = ""  # user part of From; empty: our own
    credentials: Credentials | None = None
    extra: Extra = ()  # more headers for the INVITE
    domain: str = ""  # host part of From; empty: our own
    others: tuple[Flow, ...] = ()  # servers to try, in their order, where that one fails (RFC 3263 section 4.3)
