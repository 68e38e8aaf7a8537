"""Responses: their reason phrases, how they echo a request, and those sent without keeping state."""

from __future__ import annotations

import hashlib
import re

from telephony.errors import SipParseError
from telephony.sip.headers import Headers
from telephony.sip.message import Request, Response, build_message, split_message

REASON_PHRASES = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
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
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    603: "Decline",
}

_ANSWERABLE = re.compile(r"(?!ACK |SIP/)[A-Z]+ .*")


def response_to(
    request: Request, status: int, *, to_tag: str = "", extra: tuple[tuple[str, str], ...] = (), body: bytes = b""
) -> Response:
    """Answer a request (RFC 3261 section 8.2.6.2). `to_tag` is given to a To that has none."""
    echo = _echo(request.headers, "" if request.to.tag else to_tag)
    return Response(status, REASON_PHRASES.get(status, "Unknown"), echo.plus(*extra), body)


def _echo(headers: Headers, to_tag: str) -> Headers:
    """Repeat what names the transaction; a header that is missing is left out."""
    once = [(name, value) for name in ("From", "To", "Call-ID", "CSeq") if (value := headers.first(name))]
    if to_tag:
        once = [(name, f"{value};tag={to_tag}" if name == "To" else value) for name, value in once]
    return Headers((*(("Via", via) for via in headers.listed("Via")), *once))


def stateless_response(
    request: Request | Response, status: int, *, extra: tuple[tuple[str, str], ...] = ()
) -> Response:
    """Answer without keeping state: a retransmission gets the same tag again (section 8.2.7)."""
    seed = "\n".join((request.call_id, request.from_.tag, str(request.cseq.number), request.via.branch))
    tag = hashlib.sha256(seed.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    echo = _echo(request.headers, "" if request.to.tag else tag)
    return Response(status, REASON_PHRASES.get(status, "Unknown"), echo.plus(*extra))


def refuse_malformed(data: bytes, error: SipParseError) -> bytes | None:
    """Answer a malformed request from what can still be read of it; None when nothing can be said.

    Responses and ACK are never answered.
    """
    try:
        start, headers, _ = split_message(data)
        if not error.status or not _ANSWERABLE.fullmatch(start):
            return None
        # A response has the same headers as the request, and does not mind what is wrong in its first line.
        sketch = Response(error.status, "", _echo(headers, ""))
        return build_message(stateless_response(sketch, error.status))
    except SipParseError:
        return None
