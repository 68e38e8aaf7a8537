"""Amounts in manat."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from bot.language.inverse.numbers import Found, find_numbers
from bot.language.inverse.tokens import Token, tokens

_MANAT = re.compile(r"manat\w*|man|azn|₼")
_QEPIK = re.compile(r"qepi[ky]\w*|kepik\w*|qepi")


def parse_money(text: str) -> Decimal | None:
    """Read the amount in manat: `iyirmi beş manat əlli qəpik` is 25.50. A number alone is manat."""
    sequence = tokens(text)
    found = find_numbers(sequence)
    manat = _before(_MANAT, sequence, found)
    qepik = _before(_QEPIK, sequence, found)
    if manat is not None and qepik is None:
        qepik = next((number for number in found if number.start == manat.end + 1), None)
    if manat is None and qepik is None:
        return found[0].value if len(found) == 1 else None
    hundredths = qepik.value if qepik is not None else Decimal(0)
    if not (0 <= hundredths < 100 and hundredths == hundredths.to_integral_value()):
        return None
    return (manat.value if manat is not None else Decimal(0)) + hundredths / 100


def _before(unit: re.Pattern[str], sequence: Sequence[Token], found: list[Found]) -> Found | None:
    """Find the last number whose next word is the unit; the last, since callers correct themselves forwards."""
    said = [number for number in found if number.end < len(sequence) and unit.fullmatch(sequence[number.end].plain)]
    return said[-1] if said else None
