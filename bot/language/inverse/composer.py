"""Which number words make one number: scales fall, and so does what they multiply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from bot.language.inverse.tokens import Token, is_case_ending
from bot.language.numbers import written_number

# Plain spellings, with those of Turkish that a multilingual recogniser falls into.
ZERO = frozenset({"sifir", "sufur", "sifr"})
UNITS: Mapping[str, int] = {
    "bir": 1, "iki": 2, "uc": 3, "dord": 4, "dort": 4, "bes": 5, "besh": 5, "alti": 6, "yeddi": 7, "yedi": 7,
    "sekkiz": 8, "sekiz": 8, "doqquz": 9, "dokkuz": 9, "doquz": 9, "dokuz": 9, "doguz": 9, "dogguz": 9,
}  # fmt: skip
TENS: Mapping[str, int] = {
    "on": 10, "iyirmi": 20, "yirmi": 20, "iyirme": 20, "iymi": 20, "iyrmi": 20, "igirmi": 20, "otuz": 30, "qirx": 40,
    "kirk": 40, "qirk": 40, "girx": 40, "kirx": 40, "elli": 50, "altmis": 60, "altmish": 60, "yetmis": 70,
    "yetmish": 70,
    "seksen": 80, "sekson": 80, "doxsan": 90, "doksan": 90, "dohsan": 90,
}  # fmt: skip
HUNDRED = "yuz"
SCALES: Mapping[str, int] = {
    "min": 1000, "bin": 1000, "milyon": 10**6, "million": 10**6, "milyard": 10**9, "milliard": 10**9,
    "trilyon": 10**12,
}  # fmt: skip

_WORDS = frozenset((*ZERO, *UNITS, *TENS, *SCALES, HUNDRED))
_BY_LENGTH = tuple(sorted(_WORDS, key=lambda word: (-len(word), word)))
# Common words that begin as a number word does: for, they, together, a little, under, by hand.
_NEVER = re.compile(r"ucun|on(?:lar\w*|suz|unla)|bir(?:lik\w*|az|ce|leri\w*)|altin(?!c)\w*|elle")
# Declined forms that are numbers only where one is expected: then, him, his; someone, suddenly.
_AMBIGUOUS = re.compile(r"(?P<word>on)(?:un|u|a|da|dan)|(?P<one>bir)(?:i|de|den|ine|isi|isine|inin|ini|inde)")


def number_word(token: Token, *, loose: bool = False) -> str | None:
    """Find the number word in a token, without its case ending.

    `loose` also takes `onda`, `ona`, `biri` (at ten, to ten, one of), which elsewhere mean then, to him, someone.
    """
    word = token.plain
    if word in _WORDS:
        return word
    if _NEVER.fullmatch(word):
        return None
    if ambiguous := _AMBIGUOUS.fullmatch(word):
        return (ambiguous["word"] or ambiguous["one"]) if loose else None
    for candidate in _BY_LENGTH:
        if word.startswith(candidate) and is_case_ending(word[len(candidate) :]):
            return candidate
    return None


def written(digits: str) -> Decimal | None:
    """Read a number as a recogniser wrote it; a clock time, a date and a range (14:35, 200-300) are no number."""
    try:
        return written_number(digits)
    except ArithmeticError:
        return None


class Composer:
    """One number in the making."""

    def __init__(self) -> None:
        self._total = Decimal(0)
        self._group = Decimal(0)
        self._room = 1000  # what the next word of the group must stay below
        self._scale: int | None = None  # the last scale word: the next must be smaller
        self._started = False
        self.closed = False

    @property
    def value(self) -> Decimal:
        return self._total + self._group

    def add(self, token: Token, *, loose: bool = False) -> bool:
        """Take the token into the number; False when it does not belong to it."""
        if self.closed or (token.after_pause and self._group):
            return False
        if token.is_number:
            took = self._add_written(token.digits)
        else:
            word = number_word(token, loose=loose or self._started)
            took = word is not None and self._add_word(word)
        self._started = self._started or took
        return took

    def _add_written(self, digits: str) -> bool:
        value = written(digits)
        if value is None or self._room < 1000 or (self._scale is not None and value >= self._scale):
            return False
        self._group, self._room = value, 1
        return True

    def _add_word(self, word: str) -> bool:
        if word in ZERO:
            self.closed = True
            return not self._started
        if word in SCALES:
            return self._add_scale(SCALES[word])
        if word == HUNDRED:
            return self._add_hundred()
        value = UNITS.get(word) or TENS[word]
        if value >= self._room:
            return False
        self._group += value
        self._room = 10 if value >= 10 else 1
        return True

    def _add_hundred(self) -> bool:
        if self._room == 1000:
            self._group = Decimal(100)
        elif self._room == 1 and self._group < 10:
            self._group *= 100
        else:
            return False
        self._room = 100
        return True

    def _add_scale(self, scale: int) -> bool:
        if self._scale is not None and scale >= self._scale:
            return False
        if not self._group and self._started and scale != 1000:
            return False
        self._total += (self._group or 1) * scale
        self._group, self._room, self._scale = Decimal(0), 1000, scale
        return True
