"""Azerbaijani telephone numbers, as said or as written."""

from __future__ import annotations

import re

from bot.language.inverse.digits import readings
from bot.language.inverse.tokens import tokens

# National numbering plan: two digits of operator or area, seven of the subscriber.
_CODES = "10|12|18|2[0-6]|36|4[046]|5[015]|60|70|77|99"
_NATIONAL = re.compile(rf"(?:(?:00)?994|0)?((?:{_CODES})\d{{7}})")


def parse_phone(text: str) -> str | None:
    """Read the number as +994501234567; None when the text says none."""
    return next(filter(None, map(phone_from_digits, readings(tokens(text)))), None)


def phone_from_digits(digits: str) -> str | None:
    """Read the number of pressed or read digits: with 0, with 994, or the nine digits alone."""
    match = _NATIONAL.fullmatch(digits)
    return f"+994{match[1]}" if match else None
