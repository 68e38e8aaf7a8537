"""What the caller said or keyed in as the value of a slot: text in its stored form, or None."""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from decimal import Decimal, InvalidOperation

from bot.flows.slots import Slot
from bot.language.inverse.answers import parse_yes_no
from bot.language.inverse.codes import parse_fin
from bot.language.inverse.dates import date_from_digits, parse_date
from bot.language.inverse.digits import readings
from bot.language.inverse.money import parse_money
from bot.language.inverse.numbers import parse_number
from bot.language.inverse.phone import parse_phone, phone_from_digits
from bot.language.inverse.times import parse_time, time_from_digits
from bot.language.inverse.tokens import tokens
from bot.language.phrases import best_match

YES_KEY, NO_KEY = "1", "2"
_DECIMAL_KEY = "*"


def value_from_speech(slot: Slot, text: str, *, today: date) -> str | None:
    """Read a slot's value from recognised text."""
    match slot.type:
        case "phone_az" | "fin":
            return parse_phone(text) if slot.type == "phone_az" else parse_fin(text)
        case "date":
            return _day(slot, parse_date(text, today=today), today)
        case "time":
            return _time(parse_time(text))
        case "number" | "money":
            return _number(slot, parse_number(text) if slot.type == "number" else parse_money(text))
        case "digits":
            return next((digits for digits in readings(tokens(text)) if _fits(slot, digits)), None)
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
            return _time(time_from_digits(digits))
        case "number" | "money":
            return _number(slot, _decimal(digits))
        case "digits":
            return digits if _fits(slot, digits) else None
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


def _time(at: time | None) -> str | None:
    return f"{at:%H:%M}" if at else None


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
    return said if said and _fits(slot, said) else None


def _fits(slot: Slot, text: str) -> bool:
    return slot.pattern is None or re.fullmatch(slot.pattern, text) is not None
