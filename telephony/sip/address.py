"""`NameAddr`: what From, To, Contact, Route and Record-Route hold (RFC 3261 section 20.10)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from telephony.errors import SipParseError
from telephony.sip.grammar import (
    Parameters,
    find_parameter,
    format_parameters,
    parse_parameters,
    quote,
    split_quoted,
)
from telephony.sip.uri import Uri, parse_uri


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A URI with its display name and header parameters."""

    uri: Uri
    display_name: str = ""
    parameters: Parameters = ()

    @property
    def tag(self) -> str:
        """The tag parameter; "" when there is none."""
        return find_parameter(self.parameters, "tag") or ""

    def with_tag(self, tag: str) -> NameAddr:
        """Give the address this tag instead of any it has; "" takes it off."""
        others = tuple(parameter for parameter in self.parameters if parameter[0] != "tag")
        return replace(self, parameters=(*others, ("tag", tag)) if tag else others)

    def __str__(self) -> str:
        name = f"{quote(self.display_name)} " if self.display_name else ""
        return f"{name}<{self.uri}>{format_parameters(self.parameters)}"


def parse_name_addr(text: str) -> NameAddr:
    """Read one name-addr or addr-spec; raises `SipParseError`."""
    text = text.strip(" \t")
    if text.startswith('"'):
        name, rest = split_quoted(text)
        gap, bracket, rest = rest.partition("<")
        if not bracket or gap.strip(" \t"):
            raise SipParseError("a display name is not followed by an address in angle brackets")
    else:
        name, bracket, rest = text.partition("<")
        # Unquoted names should be tokens; some senders write commas and accents, which harms nobody.
        name = name.strip(" \t")
    if not bracket:
        # Without brackets every parameter is the header's, not the URI's.
        uri, semicolon, parameters = text.partition(";")
        return NameAddr(parse_uri(uri.rstrip(" \t")), parameters=parse_parameters(semicolon + parameters))
    uri, closing, parameters = rest.partition(">")
    if not closing:
        raise SipParseError("an angle bracket is not closed")
    parameters = parameters.strip(" \t")
    if parameters and not parameters.startswith(";"):
        raise SipParseError("an address is followed by something other than parameters")
    return NameAddr(parse_uri(uri), name, parse_parameters(parameters))
