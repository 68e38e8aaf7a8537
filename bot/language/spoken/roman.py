"""Roman numerals, read as ordinals: XXI əsr, II mərtəbə, Nikolay II."""

from __future__ import annotations

import re

from bot.language.harmony import attach
from bot.language.numbers import ordinal
from bot.language.spoken.numerals import SUFFIX
from bot.language.spoken.rule import Rule

_VALUES = {"I": 1, "V": 5, "X": 10}
_CANONICAL = r"(?=[IVX])X{0,3}(?:IX|IV|V?I{0,3})"
# A single letter is a numeral only before what is counted by ordinals.
_COUNTED = (
    r"əsr|fəsil|fəsl|mərtəbə|sinf|sinif|qrup|rüb|bölmə|dərəcə|hissə|cild|kurs|tur\b|pillə|kvartal|mərhələ|növbə"
    r"|blok|kateqoriya|şöbə|növ\b|növlü|yarımil|semestr|raund|liqa|səviyyə|korpus|giriş|zona|tarif|[Dd]ünya\s[Mm]üharib"
    r"|Qarabağ\s[Mm]üharib"
)
# `I, II və III qrup`: the letter stands among numerals of what is counted.
_NAMED = r"(?P<named>(?=\s(?:Dünya|Qarabağ)\s))?"  # a name: Birinci Dünya müharibəsi
_CAPITALS = {"i": "İ"}
_LISTED = (
    rf"(?:(?:,|\s(?:və|ya|yaxud|ilə))\s[IVX]{{1,5}}(?:{SUFFIX.replace('?P<suffix>', '')})?){{1,4}}\s(?:{_COUNTED})"
)


def _value(numeral: str) -> int:
    total = 0
    for letter, following in zip(numeral, f"{numeral[1:]} ", strict=True):
        value = _VALUES[letter]
        total += -value if value < _VALUES.get(following, 0) else value
    return total


def _ordinal(match: re.Match[str]) -> str:
    suffix = match["suffix"] or ""
    words = attach(ordinal(_value(match["numeral"])), "" if re.fullmatch("[ıiuü]?n?c[ıiuü]", suffix) else suffix)
    return (
        words.replace(words[0], _CAPITALS.get(words[0], words[0].upper()), 1) if match["named"] is not None else words
    )


def _range(match: re.Match[str]) -> str:
    first, last = ordinal(_value(match["first"])), ordinal(_value(match["last"]))
    return f"{first}-{last}" if " " not in first else f"{first} – {last}"


RULES = (
    Rule(
        re.compile(rf"(?<![\w.'’-])(?P<first>{_CANONICAL})\s?[-–—]\s?(?P<last>{_CANONICAL})(?!\w)(?=\s(?:{_COUNTED}))"),
        _range,
    ),
    Rule(
        re.compile(rf"(?<![\w.'’-])(?P<numeral>(?=[IVX]{{2}}){_CANONICAL})(?![\w.]\w){SUFFIX}?(?!\w){_NAMED}"),
        _ordinal,
    ),
    Rule(
        re.compile(rf"(?<![\w.'’-])(?P<numeral>[IVX])(?:{SUFFIX}|(?!\w))(?=\s(?:{_COUNTED})|{_LISTED}){_NAMED}"),
        _ordinal,
    ),
)
