"""SDP (RFC 8866): session descriptions, parse and build. Lines that telephony has no use for are dropped."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from telephony.errors import SdpError

Attributes: TypeAlias = tuple[tuple[str, str | None], ...]
AddressType: TypeAlias = Literal["IP4", "IP6"]

MAX_MEDIA = 32
MAX_LINES = 1024

_LINE = re.compile(r"([a-z])=(.*)")
_PORT = re.compile(r"([0-9]{1,5})(?:/[0-9]{1,5})?")
_CONNECTION = re.compile(r"IN[ \t]+(IP4|IP6)[ \t]+([^ \t]+)[ \t]*")


@dataclass(frozen=True, slots=True)
class Connection:
    """A c= line: where media goes."""

    address_type: AddressType
    host: str

    @property
    def is_unspecified(self) -> bool:
        """Whether it is 0.0.0.0 or ::, the old way to put a call on hold (RFC 2543)."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    @property
    def is_unicast_address(self) -> bool:
        """Whether it is one numeric address, no group and no broadcast, of the family that it says."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        many = address.is_multicast or address.packed == b"\xff\xff\xff\xff"
        return not many and f"IP{address.version}" == self.address_type


@dataclass(frozen=True, slots=True)
class Origin:
    """An o= line: names the session; the version grows with every change."""

    session_id: str
    version: str
    address_type: AddressType
    host: str
    username: str = "-"


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """An m= section."""

    kind: str  # "audio", "video", "image", ...
    port: int  # 0: refused or switched off
    protocol: str
    formats: tuple[str, ...]
    connection: Connection | None = None  # None: the session's
    attributes: Attributes = ()

    def attribute(self, name: str) -> str | None:
        """First value of an attribute: "" for a flag, None where it is not there."""
        return find_attribute(self.attributes, name)


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description."""

    origin: Origin
    connection: Connection | None
    media: tuple[MediaDescription, ...]
    attributes: Attributes = ()


def find_attribute(attributes: Attributes, name: str) -> str | None:
    """First value of an attribute: "" for a flag, None where it is not there."""
    return next((value or "" for key, value in attributes if key == name), None)


def parse_sdp(data: bytes) -> SessionDescription:
    """Read a description; raises `SdpError` with status 400."""
    sections = _sections(_lines(data))
    session = sections[0]
    if session[:1] != [("v", "0")]:
        raise _malformed("it does not begin with v=0")
    origins = [value for kind, value in session if kind == "o"]
    if len(origins) != 1:
        raise _malformed("it needs one o= line")
    return SessionDescription(
        _parse_origin(origins[0]),
        _parse_connection(session),
        tuple(_parse_media(section) for section in sections[1:]),
        _parse_attributes(session),
    )


def _malformed(reason: str) -> SdpError:
    return SdpError(f"SDP is malformed: {reason}", status=400)


def _lines(data: bytes) -> list[tuple[str, str]]:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n\x00")
    lines: list[tuple[str, str]] = []
    for line in text.split("\n"):
        match = _LINE.fullmatch(line)
        if match is None:
            raise _malformed("a line is not of the form x=value")
        lines.append((match.group(1), match.group(2)))
    if len(lines) > MAX_LINES:
        raise _malformed(f"more than {MAX_LINES} lines")
    return lines


def _sections(lines: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Part the session's own lines from those of each m= line."""
    sections: list[list[tuple[str, str]]] = [[]]
    for line in lines:
        if line[0] == "m":
            sections.append([])
        sections[-1].append(line)
    if len(sections) > MAX_MEDIA + 1:
        raise _malformed(f"more than {MAX_MEDIA} m= lines")
    return sections


def _parse_origin(text: str) -> Origin:
    match text.split():
        case [username, session_id, version, "IN", ("IP4" | "IP6") as address_type, host]:
            return Origin(session_id, version, address_type, host, username)
        case _:
            raise _malformed("the o= line")


def _parse_connection(section: list[tuple[str, str]]) -> Connection | None:
    """Read the first c= line of a section; more than one is only for layered multicast."""
    text = next((value for kind, value in section if kind == "c"), None)
    if text is None:
        return None
    match = _CONNECTION.fullmatch(text)
    if match is None:
        raise _malformed("a c= line")
    return Connection("IP4" if match.group(1) == "IP4" else "IP6", match.group(2))


def _parse_attributes(section: list[tuple[str, str]]) -> Attributes:
    found: list[tuple[str, str | None]] = []
    for kind, value in section:
        if kind == "a":
            name, colon, rest = value.partition(":")
            found.append((name.strip(), rest.strip() if colon else None))
    return tuple(found)


def _parse_media(section: list[tuple[str, str]]) -> MediaDescription:
    fields = section[0][1].split()
    port = _PORT.fullmatch(fields[1]) if len(fields) >= 4 else None
    if port is None or int(port.group(1)) > 65_535:
        raise _malformed("an m= line")
    return MediaDescription(
        fields[0].lower(),
        int(port.group(1)),
        fields[2].upper(),
        tuple(fields[3:]),
        _parse_connection(section),
        _parse_attributes(section),
    )


def build_sdp(session: SessionDescription) -> bytes:
    """Write a description."""
    origin = session.origin
    lines = [
        "v=0",
        f"o={origin.username} {origin.session_id} {origin.version} IN {origin.address_type} {origin.host}",
        "s=-",
        *_connection_lines(session.connection),
        "t=0 0",
        *_attribute_lines(session.attributes),
    ]
    for media in session.media:
        lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
        lines += [*_connection_lines(media.connection), *_attribute_lines(media.attributes)]
    return ("\r\n".join(lines) + "\r\n").encode()


def _connection_lines(connection: Connection | None) -> list[str]:
    return [] if connection is None else [f"c=IN {connection.address_type} {connection.host}"]


def _attribute_lines(attributes: Attributes) -> list[str]:
    return [f"a={name}" if value is None else f"a={name}:{value}" for name, value in attributes]
