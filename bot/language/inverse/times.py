"""Times of day: `saat on dörd otuz`, `axşam yeddidə`, `ikinin yarısı`, `üçə on dəqiqə qalmış`, `14:35`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import time
from decimal import Decimal

from bot.language.fold import plain
from bot.language.inverse.composer import number_word
from bot.language.inverse.corrections import corrections
from bot.language.inverse.dates import names_month
from bot.language.inverse.numbers import Found, find_numbers
from bot.language.inverse.tokens import Token, plains, tokens

_CLOCK = re.compile(r"(?P<hour>[01]?\d|2[0-3])[:.](?P<minute>[0-5]\d)|(?P<midnight>24)[:.]00")
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
_POSSESSED = re.compile(r"(?:iki|alti|yeddi|iyirmi|\d+)si|(?:bir|dord|bes|sekkiz|\d+)i|(?:uc|doqquz|on|otuz|\d+)u")
_LATER = re.compile(r"sonra\w{0,3}|sora")
_OF_THREE = "ucun"
_HALF = Decimal("0.5")
_DATE_UNIT = re.compile(r"gun\w*|hefte\w*|nefer\w*|il\w*")
_FIRST_SERVICE_HOUR = 8  # 1 to 7 with no part of the day are of the afternoon: nobody rings a clinic for three at night


def parse_time(text: str) -> time | None:
    """Read the time that a text names. Hours 1 to 7 are of the afternoon unless it says `səhər` or `gecə`."""
    sequence = _with_thirds(tokens(text))
    for before, after in corrections(sequence):
        if found := _corrected(before, after):
            return found
    return _read(sequence, plains(sequence))


def time_from_digits(digits: str) -> time | None:
    """Read the time of pressed digits: HHMM, or the hour alone."""
    if not digits.isdecimal():
        return None  # no key, the star or the hash
    hour, minute = (int(digits[:-2]), int(digits[-2:])) if len(digits) > 2 else (int(digits), 0)
    return time(hour, minute) if hour < 24 and minute < 60 else None


def _with_thirds(sequence: Sequence[Token]) -> Sequence[Token]:
    """`üçün` is "for" nearly always, and "of three" before a half: `on üçün yarısı`."""
    return tuple(
        replace(token, plain="uc") if token.plain == _OF_THREE and _HALF_OF.fullmatch(after) else token
        for token, after in zip(sequence, (*plains(sequence)[1:], ""), strict=False)
    )


def _corrected(before: Sequence[Token], after: Sequence[Token]) -> time | None:
    """Read the time that a correction names, in the part of the day that was said before where it names none."""
    numbers = find_numbers(after, loose=True)
    of_a_month = "ayin" in plains(before) or any(map(names_month, before))
    last = after[numbers[0].end - 1] if numbers else None
    if of_a_month and last and _POSSESSED.fullmatch(last.plain + plain(last.ending)):
        return None  # dekabrın on beşi saat üçdə, yox, on altısı
    said = plains(after)
    names_part = any(part.fullmatch(word) for part in (_MORNING, _NOON, _EVENING, _NIGHT) for word in said)
    return _read(after, said if names_part else (*plains(before), *said))


def _read(sequence: Sequence[Token], said: tuple[str, ...]) -> time | None:
    if any(map(_is_of_waiting, sequence, sequence[1:], sequence[2:])):
        return None
    sequence = _clock_part(sequence)
    for token in sequence:
        if match := _CLOCK.fullmatch(token.digits):
            return time(0 if match["midnight"] else int(match["hour"]), int(match["minute"] or 0))
    numbers = [n for n in find_numbers(sequence, loose=True) if n.value != _HALF and not _is_of_a_date(sequence, n)]
    if numbers and _MINUTES.fullmatch(_word_after(sequence, numbers[0])):
        return None  # `bir dəqiqə` asks to wait
    if not numbers:
        return _named(said)
    hour, minute = _around_the_hour(sequence, numbers) or _hour_and_minute(sequence, numbers)
    return _on_the_clock(hour, minute, said)


def _is_of_waiting(number: Token, hours: Token, later: Token) -> bool:
    """`iki saat sonra` is so much later, not at two."""
    counts = number.is_number or number_word(number) is not None
    return counts and bool(_CLOCK_WORD.fullmatch(hours.plain) and _LATER.fullmatch(later.plain))


def _clock_part(sequence: Sequence[Token]) -> Sequence[Token]:
    """Give what follows `saat`, when it is said: the numbers before it are of the date."""
    at = next((at for at, token in enumerate(sequence) if _CLOCK_WORD.fullmatch(token.plain)), -1)
    after = sequence[at + 1 :]
    named = any(token.is_number for token in after) or find_numbers(after, loose=True)
    return after if named else sequence


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
        return _before_the_hour(hour), 30
    if len(numbers) < 2 or not _DATIVE.fullmatch(sequence[first.end - 1].plain + sequence[first.end - 1].ending):
        return None
    minutes = int(numbers[1].value)
    if any(_PAST.fullmatch(word) for word in after):
        return _before_the_hour(hour), minutes
    if any(_BEFORE.fullmatch(word) for word in after) and 0 < minutes < 60:
        return _before_the_hour(hour), 60 - minutes
    return None


def _before_the_hour(hour: int) -> int:
    """Before one it is twelve; `gecə` makes it midnight."""
    return (hour - 1) % 24 or 12


def _hour_and_minute(sequence: Sequence[Token], numbers: list[Found]) -> tuple[int, int]:
    hour = numbers[0].value
    if hour - int(hour) == _HALF:
        return int(hour), 30
    if not hour and len(numbers) > 2 and not numbers[1].value and numbers[1].start == numbers[0].end:
        numbers = numbers[1:]  # `sıfır-sıfır sıfır beş`: midnight is said with two zeros
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

    if (hour, minute) == (24, 0):
        hour = 0
    if not (0 <= hour < 24 and 0 <= minute < 60):
        return None
    if names(_EVENING) or (names(_NOON) and hour < 11):
        hour = hour + 12 if hour < 12 else hour
    elif names(_NIGHT):
        hour = 0 if hour == 12 else hour + 12 if 9 <= hour < 12 else hour
    elif not names(_MORNING) and 1 <= hour < _FIRST_SERVICE_HOUR:
        hour += 12
    return time(hour, minute)
