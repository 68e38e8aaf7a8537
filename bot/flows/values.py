"""What the caller said or keyed in as the value of a slot: text in its stored form, or None."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

from bot.flows.slots import Slot
from bot.language.inverse.answers import parse_yes_no
from bot.language.inverse.codes import parse_fin
from bot.language.inverse.dates import date_from_digits, parse_date
from bot.language.inverse.money import parse_money
from bot.language.inverse.numbers import parse_number
from bot.language.inverse.phone import parse_phone, phone_from_digits
from bot.language.inverse.times import parse_time, time_from_digits
from bot.language.phrases import best_match

YES_KEY, NO_KEY = "1", "2"
_DECIMAL_KEY = "*"


def value_from_speech(slot: Slot, text: str, *, today: date) -> str | None:
    """Read a slot's value from recognised text."""
    match slot.type:
        case "phone_az":
            return parse_phone(text)
        case "fin":
            return parse_fin(text)
        case "date":
            return _day(slot, parse_date(text, today=today), today)
        case "time":
            at = parse_time(text)
            return f"{at:%H:%M}" if at else None
        case "number" | "money":
            return _number(slot, parse_number(text) if slot.type == "number" else parse_money(text))
        case "enum":
            match = best_match(text, {name: value.phrases for name, value in slot.values.items()})
            return match.name if match else None
        case "boolean":
            return _boolean(parse_yes_no(text))
        case _:
            return _text(slot, text)


def value_from_keys(slot: Slot, digits: str, *, today: date) -> str | None:
    """Read a slot's value from pressed keys; `*` is the decimal point of numbers and money."""
    match slot.type:
        case "phone_az":
            return phone_from_digits(digits)
        case "date":
            return _day(slot, date_from_digits(digits, today=today), today)
        case "time":
            at = time_from_digits(digits)
            return f"{at:%H:%M}" if at else None
        case "number" | "money":
            return _number(slot, _decimal(digits))
        case "enum":
            return next((name for name, value in slot.values.items() if value.dtmf == digits), None)
        case "boolean":
            return {YES_KEY: "true", NO_KEY: "false"}.get(digits)
        case _:
            return None


def takes_one_key(slot: Slot) -> bool:
    """Tell whether a single key is the whole answer."""
    return slot.type == "boolean" or any(value.dtmf for value in slot.values.values())


def _day(slot: Slot, day: date | None, today: date) -> str | None:
    if day is None or (slot.within_days is not None and not today <= day <= today + timedelta(days=slot.within_days)):
        return None
    return day.isoformat()


def _number(slot: Slot, number: Decimal | None) -> str | None:
    if number is None or (slot.min is not None and number < slot.min) or (slot.max is not None and number > slot.max):
        return None
    if slot.whole and number != number.to_integral_value():
        return None
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimal(digits: str) -> Decimal | None:
    try:
        return Decimal(digits.replace(_DECIMAL_KEY, "."))
    except InvalidOperation:
        return None


def _boolean(answer: bool | None) -> str | None:
    return None if answer is None else ("true" if answer else "false")


def _text(slot: Slot, text: str) -> str | None:
    said = text.strip().rstrip(".!?,")
    if not said or (slot.pattern is not None and re.fullmatch(slot.pattern, said) is None):
        return None
    return said
