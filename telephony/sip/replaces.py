"""Replaces (RFC 3891): an INVITE that is to take the place of a call that is up, at the end of an attended transfer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from telephony.errors import SipParseError
from telephony.sip.dialog import DialogId
from telephony.sip.grammar import find_parameter, parse_parameters
from telephony.sip.headers import Headers
from telephony.sip.message import Request

OPTION_TAG = "replaces"
_NAME = re.compile(r"[^\s;,<>\"\x00-\x20\x7f]+")


@dataclass(frozen=True, slots=True)
class Replaces:
    """Which dialog of ours is meant, seen from our side."""

    dialog: DialogId
    early_only: bool = False

    def __str__(self) -> str:
        only = ";early-only" if self.early_only else ""
        return f"{self.dialog.call_id};to-tag={self.dialog.local_tag};from-tag={self.dialog.remote_tag}{only}"


def read_replaces(request: Request) -> Replaces | None:
    """Read the header; None where there is none. Raises `SipParseError` for two, and for one that lacks a tag."""
    value = request.headers.only("Replaces")
    if value is not None and request.method != "INVITE":
        raise SipParseError("Replaces is in another request than INVITE")
    return None if value is None else parse_replaces(value)


def parse_replaces(value: str) -> Replaces:
    """Read its value, whoever wrote it where; raises `SipParseError`."""
    call_id, semicolon, rest = value.partition(";")
    parameters = parse_parameters(semicolon + rest)
    to_tag, from_tag = find_parameter(parameters, "to-tag"), find_parameter(parameters, "from-tag")
    names = (call_id.strip(), to_tag or "", from_tag or "")
    if not all(_NAME.fullmatch(name) for name in names):
        raise SipParseError("Replaces is malformed")
    early_only = find_parameter(parameters, "early-only") is not None
    return Replaces(DialogId(*names), early_only)


def without_requirement(request: Request) -> Request:
    """Give a request that requires nothing but what every call has: that Replaces is understood is seen to."""
    tags = [tag for tag in request.headers.listed("Require") if tag.lower() != OPTION_TAG]
    items = request.headers.without("Require").items
    required = (("Require", ", ".join(tags)),) if tags else ()
    return Request(request.method, request.uri, Headers((*items, *required)), request.body)
