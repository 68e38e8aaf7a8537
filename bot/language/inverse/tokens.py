"""Recognised text as tokens: folded words, written numbers, and where the recogniser heard a pause."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.language.fold import fold, plain

_SUFFIX = r"(?:[-'’]?(?P<suffix>[^\W\d_]{1,6})(?!\w))?|(?P<word>[^\W\d_]+)|(?P<mark>[%₼$€₽₺£])"
_DIGITS = r"\d+(?:[.,:/-]\d+)*"
_GROUPED_DIGITS = r"(?<![\d.,:/-])[1-9]\d{0,2}(?:[ \u00a0\u202f]\d{3})+(?:[.,]\d+)?(?![.,:/-]?\d)"
_TOKEN = re.compile(rf"(?P<digits>{_DIGITS}){_SUFFIX}")
_GROUPED_TOKEN = re.compile(rf"(?P<digits>{_GROUPED_DIGITS}|{_DIGITS}){_SUFFIX}")
_MINUS = re.compile(r"(?:^|(?<=\s))[-−]\Z")
_APOSTROPHES = str.maketrans("", "", "'’ʼ`´")
_CASE_ENDING = re.compile(
    r"[ny]?[ae]|n?[iu]n|[ns]?[iu]|d[ae]n?|d[iu]r|l[ae]|(?:[ny]?[ae])?(?:c[ae])?dek|s?[iu]n(?:[aeiu]|d[ae]n?|[iu]n)"
    r"|[iu]?nc[iu]\w{0,4}|c[iu]\w{0,4}"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word (`text` folded, `plain` without its marks) or a number as written (`digits`)."""

    text: str
    plain: str
    digits: str = ""
    ending: str = ""  # written against the digits: the ə of 25-ə
    after_pause: bool = False
    minus: bool = False  # written against the digits: -20

    @property
    def is_number(self) -> bool:
        """Whether the recogniser wrote digits here."""
        return bool(self.digits)


def tokens(text: str, *, grouped: bool = False) -> tuple[Token, ...]:
    """Split recognised text; `25-ə` is one number, `5 manat` a number and a word.

    `grouped` takes `1 500` as one number, as amounts are written; digits of telephones and codes stay apart.
    """
    clean = fold(text).translate(_APOSTROPHES)
    found: list[Token] = []
    end = 0
    for match in (_GROUPED_TOKEN if grouped else _TOKEN).finditer(clean):
        between = clean[end : match.start()]
        pause = bool(found) and bool(re.search(r"[,.;:!?]", between))
        end = match.end()
        found.extend(_of(match, after_pause=pause, minus=bool(_MINUS.search(between))))
    return tuple(found)


def plains(sequence: Sequence[Token]) -> tuple[str, ...]:
    """Give the plain words, numbers as written."""
    return tuple(token.plain for token in sequence)


def is_case_ending(ending: str) -> bool:
    """Tell whether a plain ending is what Azerbaijani adds to a number word: case, possessive, ordinal."""
    return bool(_CASE_ENDING.fullmatch(ending))


def _of(match: re.Match[str], *, after_pause: bool, minus: bool) -> list[Token]:
    if not match["digits"]:
        text = match[0]
        return [Token(text, plain(text), after_pause=after_pause)]
    digits = match["digits"]
    suffix = match["suffix"] or ""
    if not suffix or is_case_ending(plain(suffix)):
        return [Token(digits, digits, digits, suffix, after_pause, minus)]
    return [Token(digits, digits, digits, after_pause=after_pause, minus=minus), Token(suffix, plain(suffix))]
