"""The basic rules of SIP's grammar (RFC 3261 section 25.1): tokens, quoted strings, lists, parameters.

Text that came off the wire keeps bytes that are not UTF-8 as surrogates, so that it can be sent back
unchanged; `printable()` makes it safe for anything else.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from telephony.errors import SipParseError

Parameters: TypeAlias = tuple[tuple[str, str | None], ...]

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
HOST_PATTERN = r"[A-Za-z0-9_.\-]+|\[[0-9A-Fa-f:.]+\]"
HOST = re.compile(HOST_PATTERN)

_NUMBER = re.compile(r"[0-9]{1,10}")
# Each is linear in the length of the text: no two ways lead through it. Not possessive: Python before 3.11.5, so Debian
# 12's, then takes a quote that is never closed for one that is.
_STRING = r'[^"\\]*(?:\\.[^"\\]*)*'
_PART = {separator: re.compile(rf'(?:[^"<{separator}]+|"{_STRING}"|<[^<>]*>)*') for separator in (",", ";")}
_QUOTED = re.compile(rf'"({_STRING})"')
_ESCAPE = re.compile(r"\\(.)")
_EMPTY_PARAMETER = re.compile(r";[ \t]*;")


def split_list(text: str, separator: str = ",") -> list[str]:
    """Split at separators outside quoted strings and angle brackets; empty parts are left out."""
    if '"' not in text and "<" not in text:
        parts = text.split(separator)
    else:
        parts: list[str] = []
        pattern, at = _PART[separator], 0
        while True:
            match = pattern.match(text, at)
            assert match is not None  # the pattern matches the empty string too
            parts.append(match.group())
            at = match.end()
            if at == len(text):
                break
            if text[at] != separator:
                raise SipParseError(f"a quote or angle bracket is not closed at position {at}")
            at += 1
    return [stripped for part in parts if (stripped := part.strip(" \t"))]


def parse_parameters(text: str) -> Parameters:
    """Read `;name=value;flag`; names come back in lower case, values as written.

    One semicolon too many at the end is let be, since phones write it; an empty parameter before another is malformed.
    """
    if _EMPTY_PARAMETER.search(text) and '"' not in text:
        raise SipParseError("a parameter is empty")
    found: list[tuple[str, str | None]] = []
    for part in split_list(text, ";"):
        name, equals, value = part.partition("=")
        name = name.rstrip(" \t").lower()
        if not TOKEN.fullmatch(name):
            raise SipParseError("a parameter has no proper name")
        found.append((name, value.strip(" \t") if equals else None))
    return tuple(found)


def format_parameters(parameters: Parameters) -> str:
    """Write parameters back, each with its leading semicolon."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in parameters)


def find_parameter(parameters: Parameters, name: str) -> str | None:
    """First value of a parameter: "" for one without a value, None for one that is not there."""
    return next((value or "" for key, value in parameters if key == name), None)


def quote(text: str) -> str:
    """Write a quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """Read a quoted string; text without quotes comes back as it is."""
    match = _QUOTED.fullmatch(text)
    return _ESCAPE.sub(r"\1", match.group(1)) if match else text


def split_quoted(text: str) -> tuple[str, str]:
    """Cut a leading quoted string off: what it says, and the rest."""
    match = _QUOTED.match(text)
    if match is None:
        raise SipParseError("a quoted string is not closed")
    return _ESCAPE.sub(r"\1", match.group(1)), text[match.end() :]


def parse_number(text: str, *, name: str, maximum: int) -> int:
    """Read a decimal number of ASCII digits between 0 and `maximum`."""
    if not _NUMBER.fullmatch(text) or (number := int(text)) > maximum:
        raise SipParseError(f"{name} is not a number from 0 to {maximum}")
    return number


def printable(text: str) -> str:
    """Make text from the wire safe for JSON, Redis and logs: control and broken characters become U+FFFD."""
    valid = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "\ufffd" for char in valid)
