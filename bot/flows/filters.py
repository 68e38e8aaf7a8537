"""Filters of templates: how a stored value (ISO date, +994 number, decimal) is shown in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from bot.language.fold import fold
from bot.language.spoken.codes import spell_code
from bot.language.spoken.dates import MONTHS, WEEKDAYS

Filter: TypeAlias = Callable[[str], str]

_MOST_PLACES = 40  # before or after the point: 1e999999999 would be written out, a gigabyte of it
_PHONE = re.compile(r"\+994(\d{2})(\d{3})(\d{2})(\d{2})")


def _digits(value: str) -> str:
    """Group a telephone number; show any other digits one by one."""
    if match := _PHONE.fullmatch(value):
        return "0" + " ".join(match.groups())
    return " ".join(character for character in value if character.isdecimal()) or value


def _money(value: str) -> str:
    amount = _decimal(value)
    if amount is None:
        return value
    whole = amount == amount.to_integral_value()
    return f"{amount:.0f} manat" if whole else f"{amount:.2f} manat".replace(".", ",")


def _number(value: str) -> str:
    number = _decimal(value)
    return value if number is None else f"{number:f}".replace(".", ",")


def _date(value: str) -> str:
    day = _day(value)
    return value if day is None else f"{day.day} {MONTHS[day.month - 1]}"


def _full_date(value: str) -> str:
    day = _day(value)
    return value if day is None else f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def _weekday(value: str) -> str:
    day = _day(value)
    return value if day is None else WEEKDAYS[day.weekday()]


def _time(value: str) -> str:
    return value[:5] if re.fullmatch(r"\d{2}:\d{2}:\d{2}", value) else value


def _decimal(value: str) -> Decimal | None:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) <= _MOST_PLACES else None


def _day(value: str) -> date | None:
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


FILTERS: Mapping[str, Filter] = {
    "digits": _digits,
    "phone": _digits,
    "spell": spell_code,
    "money": _money,
    "number": _number,
    "date": _date,
    "full_date": _full_date,
    "weekday": _weekday,
    "time": _time,
    "lower": fold,
}
