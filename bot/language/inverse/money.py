"""Amounts in manat."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from bot.language.inverse.corrections import corrections
from bot.language.inverse.numbers import Found, find_numbers, is_negative
from bot.language.inverse.tokens import Token, tokens

_MANAT = re.compile(r"manat\w*|man|azn|₼")
_QEPIK = re.compile(r"qepi[ky]\w*|kepik\w*|qepi")
_FOREIGN = re.compile(r"dollar\w*|usd|avro\w*|y?e[uv]ro\w*|eur|rubl\w*|rub|lire\w*|try|funt\w*|gbp|sent\w{0,4}|[$€₽₺£]")
_FOREIGN_BEFORE = re.compile(r"[$€₽₺£]|usd|eur|rub|gbp")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+")


def parse_money(text: str) -> Decimal | None:
    """Read the amount in manat: `iyirmi beş manat əlli qəpik` is 25.50. A number alone is manat.

    None for another currency, and for an amount below zero: nobody pays one, so it was misheard. `1,500` is 1500, as
    English writes it: manat have no thousandths.
    """
    sequence = tuple(map(_without_commas, tokens(text, grouped=True)))
    for before, after in corrections(sequence):
        if find_numbers(after):
            keeps_manat = _of(_MANAT, before) and not _of(_MANAT, after) and _of(_QEPIK, after)
            return _amount(sequence if keeps_manat else after)
    return _amount(sequence)


def _amount(sequence: Sequence[Token]) -> Decimal | None:
    found = find_numbers(sequence)
    if any(is_negative(sequence, number) or _is_foreign(sequence, number) for number in found):
        return None
    manat, qepik = _of(_MANAT, sequence), _of(_QEPIK, sequence)
    if manat is not None and qepik is None:
        qepik = next((number for number in found if number.start == manat.end + 1), None)
    if manat is None and qepik is None:
        return found[0].value if len(found) == 1 else None
    hundredths = qepik.value if qepik is not None else Decimal(0)
    if not (0 <= hundredths < 100 and hundredths == hundredths.to_integral_value()):
        return None
    return (manat.value if manat is not None else Decimal(0)) + hundredths / 100


def _of(unit: re.Pattern[str], sequence: Sequence[Token]) -> Found | None:
    """Find the last number whose next word is the unit; the last, since callers correct themselves forwards."""
    said = [number for number in find_numbers(sequence) if _has_at(unit, sequence, number.end)]
    return said[-1] if said else None


def _is_foreign(sequence: Sequence[Token], number: Found) -> bool:
    """`10 dollar`, `$10`."""
    return _has_at(_FOREIGN, sequence, number.end) or _has_at(_FOREIGN_BEFORE, sequence, number.start - 1)


def _has_at(unit: re.Pattern[str], sequence: Sequence[Token], at: int) -> bool:
    return 0 <= at < len(sequence) and unit.fullmatch(sequence[at].plain) is not None


def _without_commas(token: Token) -> Token:
    return replace(token, digits=token.digits.replace(",", "")) if _THOUSANDS.fullmatch(token.digits) else token
