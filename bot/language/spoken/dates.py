"""Dates: 22.11.2026, 22/11/2026, 2026-11-22 and 22 noyabr 2026; a year is an ordinal in Azerbaijani."""

from __future__ import annotations

import re
from datetime import date

from bot.language.fold import fold
from bot.language.harmony import ablative, attach, ends_in_vowel, until
from bot.language.numbers import cardinal, ordinal
from bot.language.spoken.numerals import SUFFIX, joined_range
from bot.language.spoken.rule import Rule
from bot.language.spoken.times import spoken_time

# CLDR az, format wide.
MONTHS = (
    "yanvar", "fevral", "mart", "aprel", "may", "iyun", "iyul", "avqust", "sentyabr", "oktyabr", "noyabr", "dekabr",
)  # fmt: skip
WEEKDAYS = ("bazar ertəsi", "çərşənbə axşamı", "çərşənbə", "cümə axşamı", "cümə", "şənbə", "bazar")

_SHORT_MONTHS = {
    "yan": 1, "fev": 2, "mar": 3, "apr": 4, "avq": 8, "sen": 9, "sent": 9, "okt": 10, "noy": 11, "dek": 12,
}  # fmt: skip
_MONTH = "|".join(MONTHS)
_WRITTEN_MONTH = rf"{_MONTH}|(?:{'|'.join(_SHORT_MONTHS)})\."
_YEAR_WORD = r"(?:-c[ıiuü])?\s?il(?=\w|\b)"
_TAIL = rf"(?:(?=(?P<year_word>{_YEAR_WORD}))(?:-c[ıiuü])?|{SUFFIX})?"
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_MONTH_NUMBER = r"(?P<month>0?[1-9]|1[0-2])"


def spoken_date(day: int, month: int, year: int | None = None) -> str:
    """Say day and month, and the year as `iki min iyirmi altıncı il`."""
    words = f"{cardinal(day)} {MONTHS[month - 1]}"
    return words if year is None else f"{words} {ordinal(year)} il"


def _exists(day: int, month: int, year: int) -> bool:
    try:
        date(year if year > 99 else 2000 + year, month, day)
    except ValueError:
        return False
    return True


def _numeric(match: re.Match[str]) -> str | None:
    day, month, year = (int(match[key]) for key in ("day", "month", "year"))
    if not _exists(day, month, year):
        return None
    if match["year_word"]:
        return f"{cardinal(day)} {MONTHS[month - 1]} {ordinal(year)}"
    return attach(spoken_date(day, month, year), match["suffix"] or "")


def _named(match: re.Match[str]) -> str:
    named = fold(match["month"])
    month = _SHORT_MONTHS[named[:-1]] if named.endswith(".") else MONTHS.index(named) + 1
    day, year = int(match["day"]), int(match["year"])
    if match["year_word"]:
        return f"{cardinal(day)} {MONTHS[month - 1]} {ordinal(year)}"
    return attach(spoken_date(day, month, year), match["suffix"] or "")


def _span(match: re.Match[str]) -> str | None:
    first, last = (tuple(map(int, match[key].split("."))) for key in ("first", "last"))
    if not (_exists(*first) and _exists(*last)):
        return None
    return f"{ablative(spoken_date(*first))} {until(spoken_date(*last))}"


def _moment(match: re.Match[str]) -> str | None:
    """Say what programs write: 2026-11-22T14:30:00+04:00."""
    year, month, day = (int(match[key]) for key in ("year", "month", "day"))
    if not _exists(day, month, year):
        return None
    return f"{spoken_date(day, month, year)}, saat {spoken_time(int(match['hour']), int(match['minute']))}"


def _month_of_year(match: re.Match[str]) -> str:
    words = f"{MONTHS[int(match['month']) - 1]} {ordinal(int(match['year']))}"
    return words if match["year_word"] else attach(f"{words} il", match["suffix"] or "")


def _days(match: re.Match[str]) -> str | None:
    """Say `01-05.12.2026`, days of one month, and `01.12-05.12.2026`, days of one year."""
    first, last, month, year = (int(match[key]) for key in ("first", "last", "month", "year"))
    first_month = int(match["first_month"] or month)
    if not (_exists(first, first_month, year) and _exists(last, month, year)):
        return None
    spoken = spoken_date(last, month, year).removesuffix(" il" * bool(match["year_word"]))
    if first_month == month:
        return attach(joined_range(cardinal(first), spoken), match["suffix"] or "")
    return f"{ablative(spoken_date(first, first_month))} {spoken if match['year_word'] else until(spoken)}"


def _of_month(match: re.Match[str]) -> str:
    """Say a day of a month named in the genitive, which is possessed by it: noyabrın 22-də, iyirmi ikisində."""
    day, suffix = cardinal(int(match["day"])), fold(match["suffix"])
    case = "na" if suffix[-1] in "aə" and suffix[0] != "d" else "ndan" if suffix.endswith("n") else "nda"
    end = "dək" if suffix.endswith("k") else ""
    possessed = attach(day, ("s" if ends_in_vowel(day) else "") + "ı" + ("na" if end else case))
    return f"{match['of']} {possessed}{end}"


def _years(match: re.Match[str]) -> str:
    return f"{cardinal(int(match['first']))} – {ordinal(int(match['last']))}"


_FULL = r"(?:0?[1-9]|[12]\d|3[01])\.(?:0?[1-9]|1[0-2])\.\d{4}"
RULES = (
    Rule(re.compile(rf"(?<![\w.])(?P<first>{_FULL})\s?[-–—]\s?(?P<last>{_FULL})(?![\w.-])"), _span),
    Rule(
        re.compile(
            r"(?<![\w./-])(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])T(?P<hour>[01]\d|2[0-3])"
            r":(?P<minute>[0-5]\d)(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?(?![\w:])"
        ),
        _moment,
    ),
    Rule(
        re.compile(
            r"(?<![\w.,-])(?P<first>0?[1-9]|[12]\d|3[01])(?:\.(?P<first_month>0?[1-9]|1[0-2]))?\s?[-–—]\s?"
            rf"(?P<last>0?[1-9]|[12]\d|3[01])\.{_MONTH_NUMBER}\.(?P<year>\d{{4}})(?!\d|[./]\d){_TAIL}"
        ),
        _days,
    ),
    Rule(
        re.compile(
            rf"(?<![\w.-])(?P<day>0[1-9]|[12]\d|3[01])-(?P<month>0[1-9]|1[0-2])-(?P<year>(?:19|20)\d{{2}})(?!\d|-\d){_TAIL}"
        ),
        _numeric,
    ),
    Rule(
        re.compile(rf"(?<![\w./,-])(?P<month>0[1-9]|1[0-2])[./](?P<year>(?:19|20)\d{{2}})(?![\w/]|[.,]\d){_TAIL}"),
        _month_of_year,
    ),
    Rule(
        re.compile(
            rf"(?<![\w.]){_DAY}(?P<dot>[./]){_MONTH_NUMBER}(?P=dot)(?P<year>\d{{4}}|\d{{2}})(?!\d|[./]\d){_TAIL}"
        ),
        _numeric,
    ),
    Rule(
        re.compile(
            r"(?<![\w./-])(?P<year>\d{4})(?P<dot>[-/.])(?P<month>0[1-9]|1[0-2])(?P=dot)(?P<day>0[1-9]|[12]\d|3[01])(?!\d)"
            + _TAIL
        ),
        _numeric,
    ),
    Rule(
        re.compile(rf"(?<!\w){_DAY}\s(?P<month>{_WRITTEN_MONTH})\s(?P<year>\d{{4}})(?!\d){_TAIL}", re.IGNORECASE),
        _named,
    ),
    Rule(
        re.compile(
            rf"(?<!\w)(?P<of>(?:{_MONTH})[ıiuü]n|ayın)\s{_DAY}[-–’'](?P<suffix>d[aə]n?|[ny]?[aə]|(?:[ny]?[aə])?d[əa]k)(?![\w-])",
            re.IGNORECASE,
        ),
        _of_month,
    ),
    Rule(
        re.compile(r"(?<![\w-])(?P<first>\d{4})\s?[-–—/]\s?(?P<last>\d{4})-c[ıiuü](?=\s(?:il|tədris|maliyyə))"),
        _years,
    ),
)
