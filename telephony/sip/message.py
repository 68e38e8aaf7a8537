"""SIP messages: parse and build (RFC 3261 section 7).

What every message must have is read at once, so a `Request` or `Response` that exists has a sound Via,
From, To, Call-ID and CSeq; other headers are read when they are asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from telephony.errors import LocalProtocolError, SipParseError
from telephony.sip.address import NameAddr, parse_name_addr
from telephony.sip.grammar import TOKEN, parse_number
from telephony.sip.headers import Headers, format_headers, parse_headers
from telephony.sip.uri import SipUri, Uri, parse_uri
from telephony.sip.via import Via, parse_via

MAX_MESSAGE_BYTES = 65_535
"""Longest message that is read, over either transport; the longest that UDP can carry."""

MAX_HEAD_BYTES = 16_384
"""Longest start line and headers. The worst that can be written into them takes 30 ms to read (measured)."""

_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.IGNORECASE)
_REQUEST_LINE = re.compile(r"([^ ]+) ([^ ]+) SIP/([0-9]+\.[0-9]+)", re.IGNORECASE)
_CSEQ = re.compile(r"([0-9]+)[ \t]+([^ \t]+)")
_MAX_CSEQ = 2**31 - 1  # section 8.1.1.5


@dataclass(frozen=True, slots=True)
class CSeq:
    """Number and method of a request within its dialog."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@dataclass(frozen=True, slots=True)
class Request:
    """A request. The views after `body` are read from `headers`; raises `SipParseError` when they are not sound."""

    method: str
    uri: Uri
    headers: Headers
    body: bytes = b""
    via: Via = field(init=False, repr=False, compare=False)
    from_: NameAddr = field(init=False, repr=False, compare=False)
    to: NameAddr = field(init=False, repr=False, compare=False)
    call_id: str = field(init=False, repr=False, compare=False)
    cseq: CSeq = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _read_views(self)
        if self.cseq.method != self.method:
            raise SipParseError("CSeq names another method than the request line")

    def with_top_via(self, via: Via) -> Request:
        """Put another Via on top."""
        return Request(self.method, self.uri, self.headers.with_first_listed("Via", str(via)), self.body)


@dataclass(frozen=True, slots=True)
class Response:
    """A response. The views after `body` are read from `headers`; raises `SipParseError` when they are not sound."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""
    via: Via = field(init=False, repr=False, compare=False)
    from_: NameAddr = field(init=False, repr=False, compare=False)
    to: NameAddr = field(init=False, repr=False, compare=False)
    call_id: str = field(init=False, repr=False, compare=False)
    cseq: CSeq = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _read_views(self)


Message: TypeAlias = Request | Response


def _read_views(message: Message) -> None:
    headers = message.headers
    vias = headers.listed("Via")
    if not vias:
        raise SipParseError("Via is missing")
    views: dict[str, Any] = {
        "via": parse_via(vias[0]),
        "from_": parse_name_addr(_required(headers, "From")),
        "to": parse_name_addr(_required(headers, "To")),
        "call_id": _required(headers, "Call-ID"),
        "cseq": _parse_cseq(_required(headers, "CSeq")),
    }
    for name, value in views.items():
        object.__setattr__(message, name, value)  # a frozen dataclass leaves no other way


def _required(headers: Headers, name: str) -> str:
    value = headers.only(name)
    if not value:
        raise SipParseError(f"{name} is missing")
    return value


def _parse_cseq(text: str) -> CSeq:
    match = _CSEQ.fullmatch(text)
    if match is None or not TOKEN.fullmatch(match.group(2)):
        raise SipParseError("CSeq is malformed")
    return CSeq(parse_number(match.group(1), name="CSeq", maximum=_MAX_CSEQ), match.group(2))


def addresses(message: Message, name: str) -> tuple[NameAddr, ...]:
    """Read Contact, Route, Record-Route and their like; raises `SipParseError`."""
    return tuple(parse_name_addr(value) for value in message.headers.listed(name))


def header_number(message: Message, name: str, *, maximum: int) -> int | None:
    """Read Max-Forwards, Expires and their like; None where there is none."""
    value = message.headers.only(name)
    return None if value is None else parse_number(value, name=name, maximum=maximum)


def parse_message(data: bytes) -> Message:
    """Read one datagram, or one message cut from a stream; raises nothing but `SipParseError`."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise SipParseError(f"longer than {MAX_MESSAGE_BYTES} bytes", status=513)
    start, headers, rest = split_message(data)
    body = _cut_body(headers, rest)
    if match := _STATUS_LINE.fullmatch(start):
        return Response(int(match.group(1)), match.group(2) or "", headers, body)
    match = _REQUEST_LINE.fullmatch(start)
    if match is None or not TOKEN.fullmatch(match.group(1)):
        raise SipParseError("the first line is neither a request nor a status line")
    if match.group(3) != "2.0":
        raise SipParseError("another version of SIP", status=505)
    uri = parse_uri(match.group(2))
    if isinstance(uri, SipUri) and uri.headers:
        raise SipParseError("the Request-URI holds headers")  # section 19.1.1
    return Request(match.group(1), uri, headers, body)


def split_message(data: bytes) -> tuple[str, Headers, bytes]:
    """Cut a message into its start line, its headers and what follows them."""
    # Section 7.5: empty lines before the start line are ignored.
    head, empty_line, rest = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not empty_line:
        raise SipParseError("no empty line after the headers")
    if len(head) > MAX_HEAD_BYTES:
        raise SipParseError(f"headers longer than {MAX_HEAD_BYTES} bytes", status=513)
    start, _, lines = head.decode("utf-8", "surrogateescape").partition("\r\n")
    return start, parse_headers(lines), rest


def _cut_body(headers: Headers, rest: bytes) -> bytes:
    """Section 18.3: what a datagram holds beyond Content-Length is dropped; too little is an error."""
    lengths = {value.strip() for value in headers.all("Content-Length")}
    if not lengths:
        return rest
    if len(lengths) > 1:
        raise SipParseError("Content-Length comes with different values")
    length = parse_number(lengths.pop(), name="Content-Length", maximum=MAX_MESSAGE_BYTES)
    if length > len(rest):
        raise SipParseError("the body is shorter than Content-Length")
    return rest[:length]


def build_message(message: Message) -> bytes:
    """Write a message; Content-Length is counted anew."""
    start = (
        f"{message.method} {message.uri} SIP/2.0"
        if isinstance(message, Request)
        else f"SIP/2.0 {message.status} {message.reason}"
    )
    return write_message(start, message.headers, message.body)


def write_message(start: str, headers: Headers, body: bytes = b"") -> bytes:
    """Write a message whose headers need not be sound: an answer to one that could not be read."""
    items = (*headers.without("Content-Length").items, ("Content-Length", str(len(body))))
    head = f"{start}\r\n{format_headers(items)}\r\n"
    # One line end for each header, the start line and the empty line: what is more was smuggled in by a value.
    if not head.count("\r") == head.count("\n") == len(items) + 2:
        raise LocalProtocolError("a header of ours holds a line end")
    return head.encode("utf-8", "surrogateescape") + body
