"""Times of day, on the clock of twenty-four hours."""

from __future__ import annotations

import re

from bot.language.harmony import ablative, attach, until
from bot.language.numbers import cardinal, digit_group
from bot.language.spoken.numerals import SUFFIX
from bot.language.spoken.rule import Rule

_HOUR = r"(?:[01]?\d|2[0-4])"
_CLOCK = rf"{_HOUR}:[0-5]\d"
_DOTTED = rf"{_HOUR}\.[0-5]\d"
_AFTER_HOUR_WORD = r"(?:(?<=[Ss]aat\s)|(?<=[Ss]aatları\s)|(?<=[Ss]aat:\s))"


def spoken_time(hour: int, minute: int) -> str:
    """Say the time: 14:35 is `on dörd otuz beş`, 9:05 `doqquz sıfır beş`, 9:00 `doqquz`, 0:00 `sıfır-sıfır`."""
    spoken_hour = cardinal(hour) if hour else "sıfır-sıfır"
    return f"{spoken_hour} {digit_group(f'{minute:02}')}" if minute else spoken_hour


def _from_to(match: re.Match[str]) -> str:
    return f"{ablative(_read(match['first']))} {attach(_read(match['last']), match['suffix'])}"


def _read(text: str) -> str:
    hour, minute = re.split("[:.]", text)
    return spoken_time(int(hour), int(minute))


def _time(match: re.Match[str]) -> str:
    words = _read(match["time"])
    if match["second"]:
        words = f"{words} {digit_group(match['second'])}"
    return attach(words, match["suffix"] or "")


def _span(match: re.Match[str]) -> str:
    if match["between"] is not None:
        return f"{_read(match['first'])} ilə {_read(match['last'])}"
    return f"{ablative(_read(match['first']))} {until(_read(match['last']))}"


RULES = (
    Rule(
        re.compile(
            rf"(?<![\w:.])(?P<first>{_CLOCK})\s?[-–—]\s?(?P<last>{_CLOCK})(?:-d[əa]k?)?(?![\w:-])(?P<between>(?=\s+aras[ıi]))?"
        ),
        _span,
    ),
    Rule(
        re.compile(
            rf"{_AFTER_HOUR_WORD}(?P<first>{_DOTTED})\s?[-–—]\s?(?P<last>{_DOTTED})(?:-d[əa]k?)?(?![\w:.])(?!-\d)"
            r"(?P<between>(?=\s+aras[ıi]))?"
        ),
        _span,
    ),
    Rule(
        re.compile(
            rf"{_AFTER_HOUR_WORD}(?P<first>{_DOTTED})-d[aə]n\s(?:saat\s)?(?P<last>{_DOTTED}){SUFFIX}(?![\w:.-])"
        ),
        _from_to,
    ),
    Rule(re.compile(rf"(?<![\w:.])(?P<time>{_CLOCK})(?::(?P<second>[0-5]\d))?(?![\d:]){SUFFIX}?"), _time),
    Rule(re.compile(rf"{_AFTER_HOUR_WORD}(?P<time>{_DOTTED})(?P<second>)(?![\d.]){SUFFIX}?"), _time),
)
