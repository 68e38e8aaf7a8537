"""Bare numbers: counts, ordinals, decimals, fractions, ranges, and a suffix written after the digits."""

from __future__ import annotations

import re

from bot.language.harmony import attach, locative
from bot.language.numbers import NUMBER, cardinal, decimal, digit_by_digit, digit_group, written_number
from bot.language.spoken.rule import Rule

SUFFIX = r"(?:[-–’'‘](?P<suffix>[a-zəıöüğşç]{1,6})(?![\w-]))"
SIGN = r"(?P<sign>(?<![\w.,)%–-])[-−](?=[\d₼$€£₽₺]))?"
_LONGEST_READ_AS_COUNT = 9  # ten digits and more are an account or a reference, not a count


def read_number(text: str) -> str:
    """Say a number as written; a code with a leading zero or of ten digits and more by its digits."""
    if text.isdecimal() and len(text) > 1 and (text[0] == "0" or len(text) > _LONGEST_READ_AS_COUNT):
        return digit_group(text) if len(text) <= 3 else digit_by_digit(text)
    return decimal(written_number(text))


def _number(match: re.Match[str]) -> str:
    words = attach(read_number(match["number"]), match["suffix"] or "")
    return f"mənfi {words}" if match["sign"] else words


def _joined_ordinal(match: re.Match[str]) -> str:
    return attach(cardinal(int(match["number"])), match["suffix"])


def _range(match: re.Match[str]) -> str:
    first, last = read_number(match["first"]), read_number(match["last"])
    joiner = "-" if first.count(" ") < 2 else " – "  # üç-dörd gün; long numbers with a pause
    return f"{first}{joiner}{attach(last, match['suffix'] or '')}"


def _fraction(match: re.Match[str]) -> str:
    upper, lower = int(match["upper"]), int(match["lower"])
    if (upper, lower) == (24, 7):
        return "həftənin yeddi günü iyirmi dörd saat"
    if 0 < upper < lower and lower in {2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 1000}:
        return f"{locative(cardinal(lower))} {cardinal(upper)}"
    return f"{read_number(match['upper'])} kəsr {read_number(match['lower'])}"


def _dotted(match: re.Match[str]) -> str | None:
    if re.fullmatch(r"[1-9]\d{0,2}(?:\.\d{3})+", match[0]):
        return None  # thousands
    return " nöqtə ".join(digit_group(part) for part in match[0].split("."))


NUMERO = Rule("numero", re.compile(r"(?:№|\bNo\.|\bNº)\s*(?=\d)"), lambda _: "nömrə ")
LIST_ITEM = Rule(
    "list item",
    re.compile(r"^(?P<number>\d{1,2})[.)](?=\s+\S)", re.MULTILINE),
    lambda m: cardinal(int(m["number"])) + ".",
)
DOTTED = Rule("dotted number", re.compile(r"(?<!\w)\d{1,4}(?:\.\d{1,4}){2,}(?!\w|\.\d)"), _dotted)
FRACTION = Rule("fraction", re.compile(r"(?<![\w/])(?P<upper>\d{1,4})/(?P<lower>\d{1,4})(?![\w/])"), _fraction)
SCORE = Rule(
    "score",
    re.compile(r"(?<![\w:])(?P<first>\d{1,2}):(?P<last>\d)(?![\w:])"),
    lambda m: f"{cardinal(int(m['first']))}-{cardinal(int(m['last']))}",
)
RANGE = Rule(
    "range",
    re.compile(rf"(?<![\w.,-])(?P<first>\d+(?:[.,]\d+)?)\s?[-–—]\s?(?P<last>\d+(?:[.,]\d+)?){SUFFIX}?(?![\w-])"),
    _range,
)
JOINED_ORDINAL = Rule("ordinal", re.compile(r"(?<!\w)(?P<number>\d+)(?P<suffix>c[ıiuü])(?!\w)"), _joined_ordinal)
NUMBER_RULE = Rule("number", re.compile(rf"{SIGN}(?P<number>{NUMBER}){SUFFIX}?"), _number)

RULES = (NUMERO, LIST_ITEM, DOTTED, FRACTION, SCORE, RANGE, JOINED_ORDINAL, NUMBER_RULE)
