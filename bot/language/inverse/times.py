"""Times of day: `saat on dörd otuz`, `axşam yeddidə`, `ikinin yarısı`, `üçə on dəqiqə qalmış`, `14:35`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import time
from decimal import Decimal
from itertools import pairwise

from bot.language.inverse.composer import number_word
from bot.language.inverse.dates import names_month
from bot.language.inverse.numbers import Found, find_numbers
from bot.language.inverse.tokens import Token, plains, tokens

_CLOCK = re.compile(r"(?P<hour>[01]?\d|2[0-3])[:.](?P<minute>[0-5]\d)")
_HALF_OF = re.compile(r"yari(?:si\w*|da|miş)?")
_PAST = re.compile(r"isle\w*")
_BEFORE = re.compile(r"qal(?:ib|mis|anda|ir|maq\w*)\w{0,3}|galmis|kalmis")
_DATIVE = re.compile(r".*[aeə]")
_MORNING = re.compile(r"seher\w{0,4}|sabahleyin|subh")
_EVENING = re.compile(r"axsam\w{0,4}|ahsam\w{0,4}|axsamustu")
_NOON = re.compile(r"gunorta\w{0,5}")
_NIGHT = re.compile(r"gece\w{0,4}")
_CLOCK_WORD = re.compile(r"saa?t\w{0,4}")
_MINUTES = re.compile(r"deqiqe\w*|saniye\w*")
_DATE_UNIT = re.compile(r"gun\w*|hefte\w*|nefer\w*|il\w*")
_FIRST_SERVICE_HOUR = 8  # 1 to 7 with no part of the day are of the afternoon: nobody rings a clinic for three at night


def parse_time(text: str) -> time | None:
    """Read the time that a text names. Hours 1 to 7 are of the afternoon unless it says `səhər` or `gecə`."""
    sequence = _clock_part(tokens(text))
    for token in sequence:
        if match := _CLOCK.fullmatch(token.digits):
            return time(int(match["hour"]), int(match["minute"]))
    said = plains(tokens(text))
    numbers = [n for n in find_numbers(sequence, loose=True) if not _is_of_a_date(sequence, n)]
    if not numbers and (at := _half_of_three(plains(sequence))) is not None:
        numbers = [Found(Decimal(3), at, at + 1)]
    if numbers and _MINUTES.fullmatch(_word_after(sequence, numbers[0])):
        return None  # `bir dəqiqə` asks to wait
    if not numbers:
        return _named(said)
    hour, minute = _around_the_hour(sequence, numbers) or _hour_and_minute(sequence, numbers)
    return _on_the_clock(hour, minute, said)


def time_from_digits(digits: str) -> time | None:
    """Read the time of pressed digits: HHMM, or the hour alone."""
    hour, minute = (int(digits[:-2]), int(digits[-2:])) if len(digits) > 2 else (int(digits or "99"), 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None


def _half_of_three(said: tuple[str, ...]) -> int | None:
    """`üçün` is "for" nearly always, and "of three" before a half."""
    return next(
        (at for at, (word, after) in enumerate(pairwise(said)) if word == "ucun" and _HALF_OF.fullmatch(after)), None
    )


def _clock_part(sequence: Sequence[Token]) -> Sequence[Token]:
    """Give what follows `saat`, when it is said: the numbers before it are of the date."""
    at = next((at for at, token in enumerate(sequence) if _CLOCK_WORD.fullmatch(token.plain)), -1)
    return sequence[at + 1 :] if find_numbers(sequence[at + 1 :], loose=True) else sequence


def _is_of_a_date(sequence: Sequence[Token], number: Found) -> bool:
    """`ayın 25-i`, `22 noyabr`, `noyabrın 22-si`, `üç gün`; in `22 noyabr 14` the fourteen is an hour."""
    before = sequence[: number.start][-2:]
    after = _word_after(sequence, number)
    if _DATE_UNIT.fullmatch(after) or (after and names_month(sequence[number.end])):
        return True
    if not before or not (before[-1].plain == "ayin" or names_month(before[-1])):
        return False
    return len(before) < 2 or not (before[0].is_number or number_word(before[0]))


def _word_after(sequence: Sequence[Token], number: Found) -> str:
    return sequence[number.end].plain if number.end < len(sequence) else ""


def _named(said: tuple[str, ...]) -> time | None:
    if any(_NIGHT.fullmatch(word) for word in said) and any(_HALF_OF.fullmatch(word) for word in said):
        return time(0, 0)
    return time(12, 0) if any(_NOON.fullmatch(word) for word in said) and "sonra" not in said else None


def _around_the_hour(sequence: Sequence[Token], numbers: list[Found]) -> tuple[int, int] | None:
    """`ikinin yarısı` is half past one; `üçə on beş dəqiqə işləyib` is 2:15, `qalmış` 2:45."""
    first = numbers[0]
    hour = int(first.value)
    after = plains(sequence[first.end :])
    if after and _HALF_OF.fullmatch(after[0]):
        return (hour - 1) % 24, 30
    if len(numbers) < 2 or not _DATIVE.fullmatch(sequence[first.end - 1].plain + sequence[first.end - 1].ending):
        return None
    minutes = int(numbers[1].value)
    if any(_PAST.fullmatch(word) for word in after):
        return (hour - 1) % 24, minutes
    if any(_BEFORE.fullmatch(word) for word in after) and 0 < minutes < 60:
        return (hour - 1) % 24, 60 - minutes
    return None


def _hour_and_minute(sequence: Sequence[Token], numbers: list[Found]) -> tuple[int, int]:
    hour = numbers[0].value
    if hour % 1 == Decimal("0.5"):
        return int(hour), 30
    follows = len(numbers) > 1 and _is_minute(sequence, numbers[0], numbers[1])
    return int(hour), _minute(numbers[1:]) if follows else 0


def _is_minute(sequence: Sequence[Token], hour: Found, minute: Found) -> bool:
    between = plains(sequence[hour.end : minute.start])
    return set(between) <= {"tam", "ve"} and minute.value < 60


def _minute(numbers: list[Found]) -> int:
    """`sıfır beş` is five minutes."""
    return int(numbers[1].value if not numbers[0].value and len(numbers) > 1 else numbers[0].value)


def _on_the_clock(hour: int, minute: int, said: tuple[str, ...]) -> time | None:
    def names(part: re.Pattern[str]) -> bool:
        return any(part.fullmatch(word) for word in said)

    if not (0 <= hour < 24 and 0 <= minute < 60):
        return None
    if names(_EVENING) or (names(_NOON) and hour < 11):
        hour = hour + 12 if hour < 12 else hour
    elif names(_NIGHT):
        hour = 0 if hour == 12 else hour + 12 if 9 <= hour < 12 else hour
    elif not names(_MORNING) and 1 <= hour < _FIRST_SERVICE_HOUR:
        hour += 12
    return time(hour, minute)
