"""Numbers in recognised text: `iyirmi beş` is 25, also misspelt (`yirmi bes`), declined (`beşə`) or written (25)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from bot.language.inverse.composer import ZERO, Composer
from bot.language.inverse.corrections import corrections
from bot.language.inverse.tokens import Token, tokens

_HALF = "yarim"
_MINUS = frozenset({"menfi", "minus"})
_WHOLE = "tam"
_POINT = frozenset({"vergul", "virgul", "noqte"})
_TENTHS = re.compile(r"(?P<scale>on|yuz|min)d[ae]")
_SCALES = {"on": 10, "yuz": 100, "min": 1000}


@dataclass(frozen=True, slots=True)
class Found:
    """A number and the tokens that said it: `[start, end)`."""

    value: Decimal
    start: int
    end: int


def parse_number(text: str) -> Decimal | None:
    """Read the number that a text says; None when it says none, or several without correcting itself."""
    sequence = tokens(text, grouped=True)
    for part in (*(after for _, after in corrections(sequence)), sequence):
        if found := find_numbers(part):
            first = found[0]
            value = -first.value if is_negative(part, first) else first.value
            return value if len(found) == 1 else None
    return None


def is_negative(sequence: Sequence[Token], number: Found) -> bool:
    """Tell whether a number was said with `mənfi`, or written with a minus against it."""
    said = number.start > 0 and sequence[number.start - 1].plain in _MINUS
    return said or sequence[number.start].minus


def find_numbers(sequence: Sequence[Token], *, loose: bool = False) -> list[Found]:
    """Find all numbers of a text, left to right; `loose` as for `number_word`."""
    found: list[Found] = []
    index = 0
    while index < len(sequence):
        number = read_number(sequence, index, loose=loose)
        if number is None:
            index += 1
        else:
            found.append(number)
            index = number.end
    return found


def read_number(sequence: Sequence[Token], start: int, *, loose: bool = False) -> Found | None:
    """Read the longest number that begins at `start`, with `tam onda beş`, `vergül beş` or `yarım` after it."""
    whole = read_cardinal(sequence, start, loose=loose)
    if whole is None:
        return Found(Decimal("0.5"), start, start + 1) if sequence[start].plain == _HALF else None
    after = sequence[whole.end].plain if whole.end < len(sequence) else ""
    if after == _HALF:
        return Found(whole.value + Decimal("0.5"), start, whole.end + 1)
    if after == _WHOLE:
        return _with_share(sequence, whole) or whole
    return _with_digits(sequence, whole) or whole if after in _POINT else whole


def read_cardinal(sequence: Sequence[Token], start: int, *, loose: bool = False) -> Found | None:
    """Read the longest whole number, or number as written, that begins at `start`."""
    composer = Composer()
    index = start
    while index < len(sequence) and composer.add(sequence[index], loose=loose):
        index += 1
    return Found(composer.value, start, index) if index > start else None


def _with_share(sequence: Sequence[Token], whole: Found) -> Found | None:
    """`tam onda beş`: so many tenths, hundredths, ten-thousandths."""
    scale, index = 1, whole.end + 1
    while index < len(sequence) and scale in {1, 10, 100}:
        word = sequence[index].plain
        tenths = _TENTHS.fullmatch(word)
        scale *= _SCALES[tenths["scale"]] if tenths else _SCALES.get(word, 0)
        index += 1
        if tenths:
            share = read_cardinal(sequence, index) if index < len(sequence) else None
            fits = share is not None and share.value < scale
            return Found(whole.value + share.value / scale, whole.start, share.end) if share and fits else None
    return None


def _with_digits(sequence: Sequence[Token], whole: Found) -> Found | None:
    """`vergül sıfır beş`: the digits after the comma."""
    digits, index = "", whole.end + 1
    while index < len(sequence) and sequence[index].plain in ZERO:
        digits, index = f"{digits}0", index + 1
    last = read_cardinal(sequence, index) if index < len(sequence) else None
    if last is not None:
        digits, index = f"{digits}{last.value}", last.end
    if not digits.isdecimal() or whole.value != whole.value.to_integral_value():
        return None
    return Found(Decimal(f"{whole.value:.0f}.{digits}"), whole.start, index)
