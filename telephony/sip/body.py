"""What the body of a message holds: SDP, alone or as one part of several (RFC 3261 section 7.4, RFC 5621)."""

from __future__ import annotations

import re

from telephony.errors import SipParseError
from telephony.sip.grammar import find_parameter, parse_parameters, unquote
from telephony.sip.headers import Headers, parse_headers
from telephony.sip.message import Message

SDP = "application/sdp"

_MAX_PARTS = 16


def media_type(headers: Headers) -> tuple[str, str]:
    """Content-Type without its parameters in lower case, and its parameters; ("", "") where there is none."""
    kind, semicolon, parameters = (headers.first("Content-Type") or "").partition(";")
    return re.sub(r"[ \t]*/[ \t]*", "/", kind.strip(" \t").lower()), semicolon + parameters


def session_description(message: Message) -> bytes | None:
    """Find the SDP of a message; None where there is no body, or none that must be understood.

    Raises `SipParseError` with status 415 for a body that must be understood and is not SDP.
    """
    if not message.body:
        return None
    encoding = (message.headers.first("Content-Encoding") or "identity").lower()
    if encoding != "identity":
        raise SipParseError(f"Content-Encoding {encoding!r} is not understood", status=415)
    return _find_sdp(message.headers, message.body, nested=False)


def _find_sdp(headers: Headers, body: bytes, *, nested: bool) -> bytes | None:
    kind, parameters = media_type(headers)
    if kind == SDP:
        return body
    if kind in ("multipart/mixed", "multipart/alternative") and not nested:
        parts = _split_parts(body, parameters)
        found = (_find_sdp(part_headers, part, nested=True) for part_headers, part in parts)
        return next((sdp for sdp in found if sdp is not None), None)
    disposition = (headers.first("Content-Disposition") or "").partition(";")
    optional = find_parameter(parse_parameters(disposition[2]), "handling") == "optional"
    # A part beside the SDP (ISUP of a SIP-I trunk, a picture) is let be, whatever its handling says.
    if optional or nested:
        return None
    raise SipParseError("the body is not SDP", status=415)


def _split_parts(body: bytes, parameters: str) -> list[tuple[Headers, bytes]]:
    boundary = unquote(find_parameter(parse_parameters(parameters), "boundary") or "")
    if not boundary:
        raise SipParseError("a multipart body has no boundary")
    delimiter = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    _, *rest = (b"\r\n" + body).split(delimiter, _MAX_PARTS)
    parts: list[tuple[Headers, bytes]] = []
    for part in rest:
        if part.startswith(b"--"):
            return parts
        # The rest of the delimiter's line is padding; headers may be missing altogether.
        _, _, content = part.partition(b"\r\n")
        head, _, payload = (b"\r\n" + content).partition(b"\r\n\r\n")
        parts.append((parse_headers(head.decode("utf-8", "surrogateescape")[2:]), payload))
    raise SipParseError("a multipart body is not closed")
