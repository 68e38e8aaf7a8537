"""Digits said one by one or in groups: `sıfır əlli, yüz iyirmi üç` is 050123.

Spoken groups are ambiguous: `əlli bir iki` is 51 2 or 50 1 2. All readings are given, the longest groups first,
and the caller takes the first that is a telephone number or a code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from bot.language.inverse.numbers import read_cardinal
from bot.language.inverse.tokens import Token, tokens

_LIMIT = 256  # readings that are tried; a telephone number said in single words has fewer
_LONGEST = 40  # characters of any code that is asked for
_TIMES = re.compile(r"den[ae]|eded")  # iki dənə sıfır: two zeros

Letters = Callable[[Token], str]


def parse_digits(text: str) -> str:
    """Read the digits of a text in its most natural reading; empty when it has none."""
    return next(readings(tokens(text)), "")


def readings(sequence: Sequence[Token], letters: Letters = lambda _: "") -> Iterator[str]:
    """Give all readings, at most 256; `letters` gives what a token spells that is no number, or nothing."""
    return islice(_read(sequence, 0, "", letters), _LIMIT)


def _read(sequence: Sequence[Token], start: int, before: str, letters: Letters) -> Iterator[str]:
    while start < len(sequence) and len(before) <= _LONGEST:
        groups = list(_groups(sequence, start, letters))
        if groups:
            for digits, end in groups:
                yield from _read(sequence, end, before + digits, letters)
            return
        before, start = before + letters(sequence[start]), start + 1
    yield before


def _groups(sequence: Sequence[Token], start: int, letters: Letters) -> Iterator[tuple[str, int]]:
    """Give what a group beginning at `start` can be, with its end; the longest first."""
    token = sequence[start]
    if token.is_number:
        ending = letters(Token(token.ending, token.ending)) if token.ending else ""
        yield re.sub(r"\D", "", token.digits) + ending, start + 1
        return
    if repeated := _repeated(sequence, start):
        yield repeated
        return
    longest = read_cardinal(sequence, start)
    for end in range(longest.end if longest else start, start, -1):
        group = read_cardinal(sequence[:end], start)
        if group is not None and not any(token.is_number for token in sequence[start:end]):
            yield str(group.value), end


def _repeated(sequence: Sequence[Token], start: int) -> tuple[str, int] | None:
    if start + 2 >= len(sequence) or not _TIMES.fullmatch(sequence[start + 1].plain):
        return None
    times, digit = read_cardinal(sequence[: start + 1], start), read_cardinal(sequence[: start + 3], start + 2)
    if times is None or digit is None or not 2 <= times.value <= 5 or digit.value > 9:
        return None
    return str(digit.value) * int(times.value), start + 3
