"""Responses: their reason phrases, how they echo a request, and those sent without keeping state."""

from __future__ import annotations

import hashlib
import re

from telephony.errors import SipParseError
from telephony.sip.headers import Headers
from telephony.sip.message import Request, Response, split_message, write_message

REASON_PHRASES = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    422: "Session Interval Too Small",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    603: "Decline",
}

_EMPTY_LINE = b"\r\n\r\n"
_ANSWERABLE = re.compile(r"(?!ACK |SIP/)[A-Z]+ .*")


def response_to(
    request: Request, status: int, *, to_tag: str = "", extra: tuple[tuple[str, str], ...] = (), body: bytes = b""
) -> Response:
    """Answer a request (RFC 3261 section 8.2.6.2). `to_tag` is given to a To that has none."""
    echo = _echo(request.headers, "" if request.to.tag else to_tag)
    return Response(status, REASON_PHRASES.get(status, "Unknown"), echo.plus(*extra), body)


def _echo(headers: Headers, to_tag: str) -> Headers:
    """Repeat what names the transaction; a header that is missing is left out."""
    return Headers((*(("Via", via) for via in headers.listed("Via")), *_once(headers, to_tag)))


def _once(headers: Headers, to_tag: str) -> list[tuple[str, str]]:
    once = [(name, value) for name in ("From", "To", "Call-ID", "CSeq") if (value := headers.first(name))]
    if to_tag:
        once = [(name, f"{value};tag={to_tag}" if name == "To" else value) for name, value in once]
    return once


def _tag_of(seed: str) -> str:
    return hashlib.sha256(seed.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def stateless_response(request: Request, status: int, *, extra: tuple[tuple[str, str], ...] = ()) -> Response:
    """Answer without keeping state: a retransmission gets the same tag again (section 8.2.7)."""
    seed = "\n".join((request.call_id, request.from_.tag, str(request.cseq.number), request.via.branch))
    echo = _echo(request.headers, "" if request.to.tag else _tag_of(seed))
    return Response(status, REASON_PHRASES.get(status, "Unknown"), echo.plus(*extra))


def refuse_malformed(data: bytes, error: SipParseError) -> bytes | None:
    """Answer a malformed request from what can still be read of it; None when nothing can be said.

    What names the transaction is repeated as it was written, sound or not. Responses and ACK are never answered.
    """
    ended = data if _EMPTY_LINE in data.lstrip(b"\r\n") else data.rstrip(b"\r\n") + _EMPTY_LINE
    try:
        start, headers, _ = split_message(ended)
    except SipParseError:
        return None
    vias = headers.all("Via")
    if not vias or not error.status or not _ANSWERABLE.fullmatch(start):
        return None
    to = headers.first("To") or ""
    # A retransmission gets the same tag again (section 8.2.7); one that is quoted somewhere does no harm.
    tag = "" if not to or ";tag=" in to.lower() else _tag_of("\n".join((headers.first("Call-ID") or "", *vias)))
    echo = Headers((*(("Via", via) for via in vias), *_once(headers, tag)))
    return write_message(f"SIP/2.0 {error.status} {REASON_PHRASES[error.status]}", echo)
