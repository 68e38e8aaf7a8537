"""SIP and SIPS URIs (RFC 3261 section 19.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import unquote as percent_decode

from telephony.errors import SipParseError
from telephony.sip.flow import Transport
from telephony.sip.grammar import (
    HOST,
    HOST_PATTERN,
    Parameters,
    find_parameter,
    format_parameters,
    parse_number,
    printable,
)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_FORBIDDEN = re.compile(r"[\s<>\"\x00-\x20\x7f]")
_HOST_PORT = re.compile(rf"({HOST_PATTERN})(?::([0-9]*))?")


@dataclass(frozen=True, slots=True)
class SipUri:
    """A sip: or sips: URI. `userinfo` and `headers` are kept as written, escapes and all."""

    host: str  # lower case; IPv6 in its brackets
    userinfo: str = ""
    port: int | None = None
    scheme: Literal["sip", "sips"] = "sip"
    parameters: Parameters = ()
    headers: str = ""

    @property
    def user(self) -> str:
        """The user part without its password, escapes undone, fit to be shown."""
        return printable(percent_decode(self.userinfo.partition(":")[0]))

    def parameter(self, name: str) -> str | None:
        """Value of a parameter: "" for one without a value, None for one that is not there."""
        return find_parameter(self.parameters, name)

    def __str__(self) -> str:
        user = f"{self.userinfo}@" if self.userinfo else ""
        port = "" if self.port is None else f":{self.port}"
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{self.host}{port}{format_parameters(self.parameters)}{headers}"


@dataclass(frozen=True, slots=True)
class OtherUri:
    """A URI of another scheme (tel:, urn:), kept as written."""

    scheme: str  # lower case
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"


Uri: TypeAlias = SipUri | OtherUri


def transport_of(uri: SipUri, default: Transport = "udp") -> Transport:
    """Choose the transport that a URI asks for (RFC 3263 section 4.1, without NAPTR); sips: is TLS always."""
    if uri.scheme == "sips":
        return "tls"
    match (uri.parameter("transport") or default).lower():
        case ("tcp" | "tls") as stream:
            return stream
        case _:
            return "udp"


def parse_uri(text: str) -> Uri:
    """Read a URI; raises `SipParseError`."""
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme) or not rest or _FORBIDDEN.search(rest):
        raise SipParseError("a URI is malformed")
    match scheme.lower():
        case "sip" | "sips" as known:
            return _parse_sip(known, rest)
        case other:
            return OtherUri(other, rest)


def _parse_sip(scheme: Literal["sip", "sips"], rest: str) -> SipUri:
    # The user part may hold ";" and "?", but everything after it must escape "@".
    userinfo, at, address = rest.rpartition("@")
    if at and not userinfo:
        raise SipParseError("a URI has an empty user part")
    address, _, headers = address.partition("?")
    host_port, *written = address.split(";")
    host, port = parse_host_port(host_port)
    parameters = tuple(_parse_parameter(parameter) for parameter in written if parameter)
    return SipUri(host, userinfo, port, scheme, parameters, headers)


def _parse_parameter(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not name:
        raise SipParseError("a URI parameter has no name")
    return name.lower(), value if equals else None


def parse_host_port(text: str) -> tuple[str, int | None]:
    """Read `host[:port]`; the host comes back in lower case."""
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        raise SipParseError("a host or port is malformed")
    host, port = match.group(1).lower(), match.group(2)
    return host, parse_number(port, name="port", maximum=65_535) if port else None


def bracketed(host: str) -> str:
    """Write a host as URIs and Via want it: an IPv6 address gets its brackets."""
    written = f"[{host}]" if ":" in host and not host.startswith("[") else host
    if not HOST.fullmatch(written):
        raise SipParseError("a host is malformed")
    return written


def unbracketed(host: str) -> str:
    """Write a host as sockets want it."""
    return host.removeprefix("[").removesuffix("]")
