"""Days: `sabah`, `gələn bazar ertəsi`, `noyabrın 22-si`, `iyirmi iki noyabr`, `22.11.2026`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from bot.language.inverse.corrections import corrections
from bot.language.inverse.numbers import Found, find_numbers
from bot.language.inverse.tokens import Token, plains, tokens
from bot.language.nearness import prefix_distance

_MONTHS = (
    "yanvar", "fevral", "mart", "aprel", "may", "iyun", "iyul", "avqust", "sentyabr", "oktyabr", "noyabr", "dekabr",
)  # fmt: skip
_MONTH_ENDING = re.compile(r"(?:[iu]n|a|in[ae]|d[ae]n?|[iu])?")
_TODAY = re.compile(r"bug[ue]n\w{0,3}")
_TOMORROW = re.compile(r"sabah(?:a|ki|kina|dan)?|sabax")
_AFTER_TOMORROW = re.compile(r"birisigun\w{0,3}|birigun\w{0,3}|birsigun")
_POSSESSED = re.compile(r"(bir|on)[iu](?:n[ae]|nd[ae]n?)?")
_AT = re.compile(r".*(?<![iu]n)d[ae]")  # üçdə is a time of day; the third is üçündə
_DAY = re.compile(r"gun\w{0,4}")
_WEEK = re.compile(r"hefte\w{0,4}")
_NEXT = re.compile(r"gelen|gelecek|novbeti|obiri")
_LATER = re.compile(r"sonra\w{0,3}|sora")
_WRITTEN = (
    re.compile(r"(?P<day>\d{1,2})[./-](?P<month>\d{1,2})[./-](?P<year>\d{4}|\d{2})"),
    re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"),
    re.compile(r"(?P<day>\d{1,2})[./](?P<month>\d{1,2})"),
)
# Monday is 0. A following `ertəsi` or `axşamı` names the day after Sunday and the eves of Wednesday and Friday.
_SUNDAY, _WEDNESDAY, _FRIDAY, _SATURDAY = 6, 2, 4, 5
_MONDAY_WORD = re.compile(r"(?:bazar|pazar)\w{0,2}(?:ert[ei]s|dertes)\w{0,3}|ba[zs]ar\s?ert\w*|pazartesi\w{0,2}")
_EVE = re.compile(r"axsa[mn]i\w{0,4}|ahsami\w{0,4}|axsamin\w{0,3}")


def parse_date(text: str, *, today: date) -> date | None:
    """Read the day that a text names, at or after `today` unless it names the year; None when it names none."""
    sequence = tokens(text)
    for before, after in corrections(sequence):
        if found := _corrected(before, after, today):
            return found
    return _read(sequence, today)


def _read(sequence: Sequence[Token], today: date) -> date | None:
    said = plains(sequence)
    for reading in (_written, _month_and_day, _day_of_month, _weekday, _relative):
        if found := reading(sequence, said, today):
            return found
    return None


def _corrected(before: Sequence[Token], after: Sequence[Token], today: date) -> date | None:
    """Read the day that a correction names, with what it takes over: the month, the day, the year, the next week."""
    carried = _carried(before, after)
    found = _read((*carried, *after), today)
    year, month_at = _year(find_numbers(before)), _month_at(before)
    if not found or not year or month_at is None or _year(find_numbers(after)):
        return found
    return _day(year, found.month, found.day) if carried or names_month(before[month_at]) == found.month else found


def _carried(before: Sequence[Token], after: Sequence[Token]) -> Sequence[Token]:
    said, month_at, corrected_month_at = plains(before), _month_at(before), _month_at(after)
    if corrected_month_at == 0 and month_at is not None and not _number_at(after, 1):
        day = _day_near(before, month_at)
        return before[day.start : day.end] if day else ()  # on beş noyabr, yox, dekabr
    number = _number_at(after, 0)
    names_itself = corrected_month_at is not None or "ayin" in plains(after) or _days_ahead(after, plains(after))
    if number and not names_itself and not _AT.fullmatch(after[number.end - 1].plain):
        if month_at is not None:
            day = _day_near(before, month_at) if _year([number]) else None
            start, end = (day.start, day.end) if day else (month_at, month_at)
            return before[min(start, month_at) : max(end, month_at + 1)]  # dekabrın on beşi, yox, on altısı
        if "ayin" in said:
            at = said.index("ayin")
            return before[max(0, at - 1) : at + 1]  # gələn ayın beşi, yox, altısı
    return next((pair for pair in pairwise(before) if _is_next_week(*plains(pair))), ())


def date_from_digits(digits: str, *, today: date) -> date | None:
    """Read the day of pressed digits: DDMM, the next there is, or DDMMYYYY."""
    if not digits.isdecimal():
        return None  # the star and the hash
    if len(digits) == 8:
        return _day(int(digits[4:]), int(digits[2:4]), int(digits[:2]))
    return _next(int(digits[2:]), int(digits[:2]), today) if len(digits) == 4 else None


def names_month(token: Token) -> int | None:
    """Find the month (1 to 12) that a token names, declined or a little misspelt."""
    for number, month in enumerate(_MONTHS, start=1):
        if token.plain.startswith(month) and _MONTH_ENDING.fullmatch(token.plain[len(month) :]):
            return number
        if len(month) > 5 and len(token.plain) >= 5 and prefix_distance(month, token.plain, limit=1) <= 1:
            return number
    return None


def _written(sequence: Sequence[Token], _said: tuple[str, ...], today: date) -> date | None:
    for token in sequence:
        for pattern in _WRITTEN:
            if match := pattern.fullmatch(token.digits):
                groups = match.groupdict()
                day, month = int(match["day"]), int(match["month"])
                if "year" not in groups:
                    return _next(month, day, today)
                return _day(_full_year(int(match["year"]), today), month, day)
    return None


def _month_and_day(sequence: Sequence[Token], _said: tuple[str, ...], today: date) -> date | None:
    month_at = _month_at(sequence)
    if month_at is None:
        return None
    month, day = names_month(sequence[month_at]), _day_near(sequence, month_at)
    if month is None or day is None:
        return None
    year = _year(find_numbers(sequence))
    return _day(year, month, int(day.value)) if year else _next(month, int(day.value), today)


def _month_at(sequence: Sequence[Token]) -> int | None:
    return next((at for at, token in enumerate(sequence) if names_month(token)), None)


def _day_near(sequence: Sequence[Token], month_at: int) -> Found | None:
    before = next((number for number in find_numbers(sequence) if number.end == month_at), None)
    return before or _number_at(sequence, month_at + 1)


def _year(numbers: Sequence[Found]) -> int | None:
    return next((int(number.value) for number in numbers if 1900 <= number.value < 2100), None)


def _number_at(sequence: Sequence[Token], at: int) -> Found | None:
    """Read the day after a month; there `biri` is the first and `onu` the tenth, not "one of them" and "him"."""
    possessed = _POSSESSED.fullmatch(sequence[at].plain) if at < len(sequence) else None
    if possessed:
        return Found(Decimal(1 if possessed[1] == "bir" else 10), at, at + 1)
    return next((n for n in find_numbers(sequence) if n.start == at), None)


def _day_of_month(sequence: Sequence[Token], said: tuple[str, ...], today: date) -> date | None:
    """`ayın 25-i`, `gələn ayın beşi`."""
    if "ayin" not in said:
        return None
    at = said.index("ayin")
    day = _number_at(sequence, at + 1)
    if day is None:
        return None
    months = range(1, 13) if at and _NEXT.fullmatch(said[at - 1]) else range(13)
    for ahead in months:
        year, month = divmod(today.year * 12 + today.month - 1 + ahead, 12)
        found = _day(year, month + 1, int(day.value))
        if found and found >= today:
            return found
    return None


def _weekday(_sequence: Sequence[Token], said: tuple[str, ...], today: date) -> date | None:
    """Find the named day after today; with `gələn həftə` the one in the week after this."""
    for at, word in enumerate(said):
        weekday = _named_weekday(word, said[at + 1] if at + 1 < len(said) else "")
        if weekday is None:
            continue
        before = said[:at]
        if any(_is_next_week(*pair) for pair in pairwise(before)):
            return today - timedelta(days=today.weekday()) + timedelta(days=7 + weekday)
        return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)
    return None


def _is_next_week(word: str, following: str) -> bool:
    return bool(_NEXT.fullmatch(word) and _WEEK.fullmatch(following))


def _named_weekday(word: str, following: str) -> int | None:
    if _MONDAY_WORD.fullmatch(word) or _MONDAY_WORD.fullmatch(f"{word} {following}"):
        return 0
    if len(word) >= 6 and min(prefix_distance(name, word, limit=2) for name in ("cersenbe", "carsamba")) <= 2:
        return _WEDNESDAY - 1 if _EVE.fullmatch(following) else _WEDNESDAY
    if re.fullmatch(r"c[ue]m[ea]\w{0,2}", word):
        return _FRIDAY - 1 if _EVE.fullmatch(following) else _FRIDAY
    if re.fullmatch(r"[sc][eai][mn]be\w{0,2}|samba", word):
        return _SATURDAY
    return _SUNDAY if re.fullmatch(r"bazar(?:a|da|i)?", word) else None


def _relative(sequence: Sequence[Token], said: tuple[str, ...], today: date) -> date | None:
    if ahead := _days_ahead(sequence, said):
        return today + timedelta(days=ahead)
    for at, word in enumerate(said):
        following = said[at + 1] if at + 1 < len(said) else ""
        if _TODAY.fullmatch(word) or (word == "bu" and _DAY.fullmatch(following)):
            return today
        if _AFTER_TOMORROW.fullmatch(word) or (word in {"birisi", "biri", "birsi"} and _DAY.fullmatch(following)):
            return today + timedelta(days=2)
        if _TOMORROW.fullmatch(word):
            return today + timedelta(days=1)
    return None


def _days_ahead(sequence: Sequence[Token], said: tuple[str, ...]) -> int:
    """`üç gün sonra`, `iki həftədən sonra`."""
    for number in find_numbers(sequence):
        unit, later = (*said[number.end : number.end + 2], "", "")[:2]
        if _LATER.fullmatch(later) and 0 < number.value <= 366:
            if _DAY.fullmatch(unit):
                return int(number.value)
            if _WEEK.fullmatch(unit):
                return 7 * int(number.value)
    return 0


def _full_year(year: int, today: date) -> int:
    """Read two digits of a year as one at most ten years ahead: 90 is 1990, 27 is 2027."""
    if year > 99:
        return year
    return 2000 + year if 2000 + year <= today.year + 10 else 1900 + year


def _next(month: int, day: int, today: date) -> date | None:
    """Find this day and month at or after today; the 29th of February waits for its year."""
    found = (_day(today.year + ahead, month, day) for ahead in range(9))
    return next((candidate for candidate in found if candidate and candidate >= today), None)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        return None
