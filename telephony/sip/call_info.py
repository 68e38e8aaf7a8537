"""Who calls whom, out of an INVITE."""

from __future__ import annotations

from telephony.errors import SipParseError
from telephony.leg import CallInfo
from telephony.sip.address import parse_name_addr
from telephony.sip.grammar import printable
from telephony.sip.message import Request
from telephony.sip.uri import SipUri, Uri

_KEPT = {"pai": "P-Asserted-Identity", "diversion": "Diversion", "history_info": "History-Info"}
_MAX_VALUE = 1000


def party(uri: Uri) -> str:
    """Name a party: the user part or number, else the host."""
    if isinstance(uri, SipUri):
        return uri.user or uri.host
    return printable(uri.rest.partition(";")[0])


def call_info(handle: str, invite: Request, *, trusted: bool) -> CallInfo:
    """Describe a call that came in. `variables` holds `sip_call_id`.

    From a peer whose word is believed (RFC 3325 section 5), also `pai`, `diversion` and `history_info` as they were
    written, and out of them `asserted_caller` and `diverted_from`: who calls, and whose telephone was called first.
    """
    variables = {"sip_call_id": printable(invite.call_id)[:_MAX_VALUE]}
    if trusted:
        for name, header in _KEPT.items():
            values = invite.headers.all(header)
            if values:
                variables[name] = printable(", ".join(values))[:_MAX_VALUE]
        for name, found in (("asserted_caller", _asserted(invite)), ("diverted_from", _diverted(invite))):
            if found:
                variables[name] = found[:_MAX_VALUE]
    return CallInfo(handle, "sip", party(invite.from_.uri), party(invite.uri), variables)


def _asserted(invite: Request) -> str:
    return _first_party(invite, "P-Asserted-Identity")


def _diverted(invite: Request) -> str:
    """Find who was called first: the last Diversion (RFC 5806), else the first History-Info (RFC 7044)."""
    diversions = _listed(invite, "Diversion")
    if diversions:
        return _party_of(diversions[-1])
    history = _listed(invite, "History-Info")
    return _party_of(history[0]) if len(history) > 1 else ""  # the only entry is whom this call is for


def _first_party(invite: Request, header: str) -> str:
    return next((name for value in _listed(invite, header) if (name := _party_of(value))), "")


def _listed(invite: Request, header: str) -> list[str]:
    try:
        return invite.headers.listed(header)
    except SipParseError:
        return []


def _party_of(text: str) -> str:
    try:
        return party(parse_name_addr(text).uri)
    except SipParseError:
        return ""
