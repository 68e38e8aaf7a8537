"""Replaces (RFC 3891): an INVITE that is to take the place of a call that is up, at the end of an attended transfer."""

from __future__ import annotations

from dataclasses import dataclass

from telephony.errors import SipParseError
from telephony.sip.dialog import DialogId
from telephony.sip.grammar import find_parameter, parse_parameters
from telephony.sip.headers import Headers
from telephony.sip.message import Request

OPTION_TAG = "replaces"


@dataclass(frozen=True, slots=True)
class Replaces:
    """Which dialog of ours is meant, seen from our side."""

    dialog: DialogId
    early_only: bool = False


def read_replaces(request: Request) -> Replaces | None:
    """Read the header; None where there is none. Raises `SipParseError` for two, and for one that lacks a tag."""
    value = request.headers.only("Replaces")
    if value is None:
        return None
    call_id, semicolon, rest = value.partition(";")
    parameters = parse_parameters(semicolon + rest)
    to_tag, from_tag = find_parameter(parameters, "to-tag"), find_parameter(parameters, "from-tag")
    if not call_id.strip() or not to_tag or not from_tag or request.method != "INVITE":
        raise SipParseError("Replaces is malformed, or in another request than INVITE")
    early_only = find_parameter(parameters, "early-only") is not None
    return Replaces(DialogId(call_id.strip(), to_tag, from_tag), early_only)


def without_requirement(request: Request) -> Request:
    """Give a request that requires nothing but what every call has: that Replaces is understood is seen to."""
    tags = [tag for tag in request.headers.listed("Require") if tag.lower() != OPTION_TAG]
    items = request.headers.without("Require").items
    required = (("Require", ", ".join(tags)),) if tags else ()
    return Request(request.method, request.uri, Headers((*items, *required)), request.body)
