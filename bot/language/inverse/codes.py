"""Codes of letters and digits, as spelt: the FIN of an identity card."""

from __future__ import annotations

import re

from bot.language.inverse.digits import readings
from bot.language.inverse.tokens import Token, tokens

# Those that are issued have a digit; without one, seven letters of ordinary speech would be a FIN.
# Those that are issued have a digit; without one, seven letters of ordinary speech would be a FIN.
_FIN = re.compile(r"(?=.*[0-9])[0-9A-HJ-NP-Z]{7}")
_SKIPPED = frozenset((
    "fin", "finim", "kod", "kodu", "kodum", "kodumuz", "menim", "beli", "budur", "yazin", "xeyr", "xeyir", "yox",
    "duz", "duzdur", "deyil",
))  # fmt: skip
_NAMES = {
    "be": "B", "ce": "C", "se": "C", "de": "D", "fe": "F", "ef": "F", "ge": "G", "he": "H", "has": "H", "je": "J",
    "ke": "K",
    "ka": "K", "le": "L", "el": "L", "em": "M", "me": "M", "en": "N", "ne": "N", "pe": "P", "qe": "Q", "ku": "Q",
    "er": "R",
    "re": "R", "es": "S", "te": "T", "ve": "V", "dublve": "W", "dablyu": "W", "xe": "X", "iks": "X", "ye": "Y",
    "iqrek": "Y", "igrek": "Y", "ze": "Z", "zet": "Z",
}  # fmt: skip


def parse_fin(text: str) -> str | None:
    """Read the FIN that a text spells: seven digits and Latin letters without I and O."""
    sequence = tuple(token for token in tokens(text) if token.plain not in _SKIPPED)
    return next(filter(_FIN.fullmatch, readings(sequence, _letters)), None)


def _letters(token: Token) -> str:
    if token.plain in _NAMES:
        return _NAMES[token.plain]
    return token.plain.upper() if len(token.plain) <= 4 else ""
