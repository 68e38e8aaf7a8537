"""`Headers`: the header fields of a message, in their order (RFC 3261 section 7.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from telephony.errors import SipParseError
from telephony.sip.grammar import TOKEN, split_list

MAX_HEADERS = 256

_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
_FOLD = re.compile(r"\r\n[ \t]+")
# Within a quoted string a backslash may come before any but CR and LF (section 25.1, quoted-pair).
_CONTROL = re.compile(r"\r(?!\n)|(?<!\r)\n|(?<!\\)[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Headers:
    """Names and values in the order of the wire; names compare without case, compact forms are spelt out."""

    items: tuple[tuple[str, str], ...] = ()

    def first(self, name: str) -> str | None:
        """First value of a header, or None."""
        wanted = name.lower()
        return next((value for key, value in self.items if key.lower() == wanted), None)

    def all(self, name: str) -> list[str]:
        """Every value of a header, one a line."""
        wanted = name.lower()
        return [value for key, value in self.items if key.lower() == wanted]

    def listed(self, name: str) -> list[str]:
        """Every value of a header that may hold several a line, split at its commas."""
        return [part for line in self.all(name) for part in split_list(line)]

    def only(self, name: str) -> str | None:
        """Read a header that may come once; raises `SipParseError` when it comes twice."""
        values = self.all(name)
        if len(values) > 1:
            raise SipParseError(f"{name} comes more than once")
        return values[0] if values else None

    def without(self, *names: str) -> Headers:
        """Leave these headers out."""
        dropped = {name.lower() for name in names}
        return Headers(tuple(item for item in self.items if item[0].lower() not in dropped))

    def plus(self, *items: tuple[str, str]) -> Headers:
        """Add headers at the end."""
        return Headers((*self.items, *items))

    def with_first_listed(self, name: str, value: str) -> Headers:
        """Put another value in place of the first one of a listed header, which must be there."""
        rest = self.listed(name)[1:]
        position = next(at for at, item in enumerate(self.items) if item[0].lower() == name.lower())
        kept = tuple(item for item in self.items[position:] if item[0].lower() != name.lower())
        return Headers((*self.items[:position], *((name, each) for each in (value, *rest)), *kept))


def parse_headers(text: str) -> Headers:
    """Read the lines between the start line and the empty line; raises `SipParseError`."""
    if _CONTROL.search(text):
        raise SipParseError("a header holds a control character")
    # Section 7.3.1: a line that starts with white space continues the one before it.
    lines = _FOLD.sub(" ", text).split("\r\n") if text else []
    if len(lines) > MAX_HEADERS:
        raise SipParseError(f"more than {MAX_HEADERS} headers")
    return Headers(tuple(_parse_line(line) for line in lines))


def _parse_line(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    name = name.rstrip(" \t")
    if not colon or not TOKEN.fullmatch(name):
        raise SipParseError("a header line has no name")
    return _COMPACT.get(name.lower(), name), value.strip(" \t")


def format_headers(items: Iterable[tuple[str, str]]) -> str:
    """Write header lines, each with its line end."""
    return "".join(f"{name}: {value}\r\n" for name, value in items)
