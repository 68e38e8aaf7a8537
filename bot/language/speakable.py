"""Azerbaijani text made fit to be spoken: numbers, dates, money, telephones and abbreviations in words.

At each place the first rule of `_RULES` that matches is used. What comes out has no digits left, and speaking it
again changes nothing. A voice is trained on the same text as it serves.
"""

from __future__ import annotations

import re

from bot.language.spoken import (
    abbreviations,
    codes,
    dates,
    latin,
    money,
    numerals,
    phone,
    quantities,
    roman,
    symbols,
    times,
)
from bot.language.spoken.rule import Rule

# The order decides between rules that match at the same place: the more special first.
_RULES: tuple[Rule, ...] = (
    *latin.RULES,
    *codes.RULES,
    *phone.RULES,
    *dates.RULES,
    *times.RULES,
    *quantities.RATES,
    *money.RULES,
    *quantities.RULES,
    *roman.RULES,
    *abbreviations.RULES,
    *numerals.RULES,
    *symbols.RULES,
)
_SPACE_BEFORE_MARK = re.compile(r"\s+(?=[,.;:!?](?:\s|$))")


def speakable(text: str) -> str:
    """Write out everything in `text` that is not already words; plain words stay as they are."""
    spoken = _once(text)
    while spoken != text:  # `%24/7` and `60 km/saat` need a second pass
        text, spoken = spoken, _once(spoken)
    return spoken


def _once(text: str) -> str:
    spoken = "".join(_pieces(symbols.strip_markup(text)))
    return _SPACE_BEFORE_MARK.sub("", symbols.strip_markup(spoken))


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    heads = [rule.pattern.search(text) for rule in _RULES]
    position = 0
    while found := _next(text, heads, position):
        match, words = found
        before = text[position : match.start()]
        pieces += (before, _spaced(text, match, words))
        position = match.end()
    pieces.append(text[position:])
    return pieces


def _next(text: str, heads: list[re.Match[str] | None], position: int) -> tuple[re.Match[str], str] | None:
    """Find the leftmost place that a rule speaks, and the words."""
    while True:
        best = -1
        for index, rule in enumerate(_RULES):
            match = heads[index]
            if match is not None and match.start() < position:
                match = heads[index] = rule.pattern.search(text, position)
            if match is not None and (best < 0 or match.start() < _start(heads[best])):
                best = index
        if best < 0:
            return None
        chosen = heads[best]
        assert chosen is not None
        words = _RULES[best].speak(chosen)
        if words is not None:
            return chosen, words
        heads[best] = _RULES[best].pattern.search(text, chosen.start() + 1)


def _start(match: re.Match[str] | None) -> int:
    assert match is not None
    return match.start()


def _spaced(text: str, match: re.Match[str], words: str) -> str:
    """Keep words apart from letters that were written against the digits: `5mm`, `abc25`."""
    before = text[match.start() - 1 : match.start()] if match.start() else ""
    after = text[match.end() : match.end() + 1]
    left = " " if before.isalnum() and words[:1].isalnum() else ""
    right = " " if after.isalnum() and words[-1:].isalnum() else ""
    return f"{left}{words}{right}"
