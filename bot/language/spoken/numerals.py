"""Bare numbers: counts, ordinals, decimals, fractions, ranges, and a suffix written after the digits."""

from __future__ import annotations

import re
import unicodedata

from bot.language.harmony import attach, locative
from bot.language.numbers import NUMBER, cardinal, decimal, digit_by_digit, digit_group, ordinal, written_number
from bot.language.spoken.rule import Rule

SUFFIX = r"(?:[-–’'‘](?P<suffix>[a-zəıöüğşç]{1,6})(?![\w-]))"
SIGN = r"(?P<sign>(?:(?<=\.\.)|(?<![\w.,)%°₼$€£₽₺–-]))[-−](?=[\d₼$€£₽₺]))?"
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


def joined_range(first: str, last: str) -> str:
    """Join the ends of a range: `üç-dörd`; long numbers with a pause."""
    return f"{first}-{last}" if first.count(" ") < 2 else f"{first} – {last}"


def _range(match: re.Match[str]) -> str:
    last = attach(read_number(match["last"]), match["suffix"] or "")
    return joined_range(read_number(match["first"]), last)


def _ordinal_range(match: re.Match[str]) -> str:
    return joined_range(ordinal(int(match["first"])), ordinal(int(match["last"])))


def _fraction(match: re.Match[str]) -> str:
    return attach(_spoken_fraction(match["upper"], match["lower"]), match["suffix"] or "")


def _spoken_fraction(upper: str, lower: str) -> str:
    if {upper, lower} == {"24", "7"}:
        return "həftənin yeddi günü iyirmi dörd saat"
    if upper.isdecimal() and 0 < int(upper) < int(lower) and int(lower) in {2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 1000}:
        return f"{locative(cardinal(int(lower)))} {cardinal(int(upper))}"
    return f"{read_number(upper)} kəsr {read_number(lower)}"


def _vulgar(match: re.Match[str]) -> str:
    """`½` is `yarım`, `2¼` is `iki tam dörddə bir`."""
    upper, _, lower = unicodedata.normalize("NFKC", match["part"]).partition("\N{FRACTION SLASH}")
    whole = cardinal(int(match["whole"])) if match["whole"] else ""
    part = "yarım" if lower == "2" else f"{'tam ' if whole else ''}{_spoken_fraction(upper, lower)}"
    return attach(f"{whole} {part}".strip(), match["suffix"] or "")


def _dotted(match: re.Match[str]) -> str | None:
    if re.fullmatch(r"[1-9]\d{0,2}(?:\.\d{3})+", match["number"]):
        return None  # thousands
    spoken = " nöqtə ".join(digit_group(part) for part in match["number"].split("."))
    return attach(spoken, match["suffix"] or "")


NUMERO = Rule(re.compile(r"№+\s*|(?:\bNo\.|\bNº|\bN\s)\s*(?=\d)|(?<![\w*#])#(?=\d{2,}(?![\d*#]))"), lambda _: "nömrə ")
NUMERO_DECLINED = Rule(re.compile(rf"№{SUFFIX}"), lambda match: attach("nömrə", match["suffix"]))
LIST_ITEM = Rule(
    re.compile(r"^(?P<number>\d{1,2})[.)](?=\s+\S)", re.MULTILINE),
    lambda m: cardinal(int(m["number"])) + ".",
)
DOTTED = Rule(re.compile(rf"(?<!\w)(?P<number>\d{{1,4}}(?:\.\d{{1,4}}){{2,}})(?:{SUFFIX}|(?!\w|\.\d))"), _dotted)
FRACTION = Rule(
    re.compile(rf"(?<![\w/.,])(?P<upper>\d{{1,6}}(?:[.,]\d)?)/(?P<lower>\d{{1,8}})(?:{SUFFIX}|(?![\w/]))"),
    _fraction,
)
VULGAR = Rule(re.compile(rf"(?:(?<![\d.,])(?P<whole>\d{{1,6}})\s?)?(?P<part>[¼-¾⅐-⅞]){SUFFIX}?"), _vulgar)
SCORE = Rule(
    re.compile(r"(?<![\w:])(?P<first>\d{1,2}):(?P<last>\d)(?![\w:])"),
    lambda m: f"{cardinal(int(m['first']))}-{cardinal(int(m['last']))}",
)
RANGE = Rule(
    re.compile(rf"(?<![\w.,-])(?P<first>\d+(?:[.,]\d+)?)\s?[-–—]\s?(?P<last>\d+(?:[.,]\d+)?){SUFFIX}?(?![\w-])"),
    _range,
)
ORDINAL_RANGE = Rule(
    re.compile(
        r"(?<![\w.,-])(?P<first>\d{1,6})-[ıiuü]?n?c[ıiuü]\s?[-–—]\s?(?P<last>\d{1,6})-[ıiuü]?n?c[ıiuü](?![\w-])"
    ),
    _ordinal_range,
)
JOINED_ORDINAL = Rule(re.compile(r"(?<!\w)(?P<number>\d{1,15})(?P<suffix>[ıiuü]?n?c[ıiuü])(?!\w)"), _joined_ordinal)
NUMBER_RULE = Rule(re.compile(rf"{SIGN}(?P<number>{NUMBER}){SUFFIX}?"), _number)

RULES = (
    NUMERO_DECLINED, NUMERO, LIST_ITEM, DOTTED, FRACTION, VULGAR, SCORE, RANGE, ORDINAL_RANGE,
    JOINED_ORDINAL, NUMBER_RULE,
)  # fmt: skip
