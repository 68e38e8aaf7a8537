"""Who calls whom, out of an INVITE."""

from __future__ import annotations

from telephony.leg import CallInfo
from telephony.sip.grammar import printable
from telephony.sip.message import Request
from telephony.sip.uri import SipUri, Uri

_KEPT = {"pai": "P-Asserted-Identity", "diversion": "Diversion"}
_MAX_VALUE = 1000


def party(uri: Uri) -> str:
    """Name a party: the user part or number, else the host."""
    if isinstance(uri, SipUri):
        return uri.user or uri.host
    return printable(uri.rest.partition(";")[0])


def call_info(handle: str, invite: Request) -> CallInfo:
    """Describe a call that came in. `variables` holds the SIP Call-ID and, as written, pai and diversion."""
    variables = {"sip_call_id": printable(invite.call_id)[:_MAX_VALUE]}
    for name, header in _KEPT.items():
        values = invite.headers.all(header)
        if values:
            variables[name] = printable(", ".join(values))[:_MAX_VALUE]
    return CallInfo(handle, "sip", party(invite.from_.uri), party(invite.uri), variables)
