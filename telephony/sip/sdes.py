"""SDES (RFC 4568): keys of SRTP in `a=crypto` lines, read and written."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from telephony.errors import SdpError
from telephony.media import SRTP_KEY_BYTES, SRTP_SUITES, SrtpSuite

_CRYPTO: Final = re.compile(
    r"([0-9]{1,9})[ \t]+([A-Za-z0-9_]{1,64})[ \t]+inline:([^ \t]+)(?:[ \t]+(.*))?", re.IGNORECASE
)
_LIFETIME: Final = re.compile(r"(?:2\^)?[0-9]{1,15}")
_MAX_LINES: Final = 16


@dataclass(frozen=True, slots=True)
class CryptoAttribute:
    """One line that we can use."""

    tag: int
    suite: SrtpSuite
    key: bytes = field(repr=False)  # SRTP_KEY_BYTES

    def __str__(self) -> str:
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


def choose_crypto(lines: Sequence[str]) -> CryptoAttribute:
    """Take the offerer's first line that we can use (section 5.1.2); raises `SdpError` that says what is wrong."""
    if not lines:
        raise SdpError("SRTP without a=crypto (RFC 4568)")
    reasons: list[str] = []
    for line in lines[:_MAX_LINES]:
        read = parse_crypto(line)
        if isinstance(read, CryptoAttribute):
            return read
        reasons.append(read)
    raise SdpError(f"no a=crypto that can be used: {reasons[0]}")


def parse_crypto(line: str) -> CryptoAttribute | str:
    """Read the value of a line; where it cannot be used, say why instead. No key stands in what is said."""
    match = _CRYPTO.fullmatch(line)
    if match is None:
        return "it is not <tag> <suite> inline:<key>"
    suite = match[2].upper()
    if suite not in SRTP_SUITES:
        return f"the suite {match[2]} is not one of {', '.join(SRTP_SUITES)}"
    encoded, *parameters = match[3].split("|")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return "the key is not base64"
    if len(key) != SRTP_KEY_BYTES:
        return f"the key has {len(key)} bytes, not {SRTP_KEY_BYTES}"
    if any(not _LIFETIME.fullmatch(parameter) for parameter in parameters):
        return "a master key identifier (MKI) is not supported"  # it would stand in every packet
    # Section 6.3.7: a parameter that is not known, and not marked with "-", makes the line of no use. A window size
    # hint changes nothing on the wire.
    unknown = [each for each in (match[4] or "").split() if not each.upper().startswith(("-", "WSH="))]
    if unknown:
        return f"the session parameter {unknown[0][:32]} is not supported"
    return CryptoAttribute(int(match[1]), suite, key)


def own_crypto(keys: Sequence[bytes]) -> tuple[CryptoAttribute, ...]:
    """Give the lines of our offer: a suite and a key each, the strongest first, tags from 1 on."""
    pairs = zip(SRTP_SUITES, keys, strict=True)
    return tuple(CryptoAttribute(tag, suite, key) for tag, (suite, key) in enumerate(pairs, start=1))
