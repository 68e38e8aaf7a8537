"""Functions that conditions may call. All are told the wall clock; none opens anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal

from bot.flows.expressions import Function, Value
from bot.flows.hours import Calendar

ARITY: Mapping[str, int] = {"open": 0, "open_on": 1, "open_at": 2, "today": 0, "now": 0, "weekday": 1, "length": 1}
NEEDS_CALENDAR = frozenset({"open", "open_on", "open_at"})
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def functions(calendar: Calendar | None, clock: Callable[[], datetime]) -> Mapping[str, Function]:
    """Bind the functions to a calendar and a wall clock of its time zone."""
    hours = calendar or Calendar(hours={})

    def open_on(arguments: Sequence[Value]) -> Value:
        day = _day(arguments[0])
        return day is not None and bool(hours.spans_on(day))

    def open_at(arguments: Sequence[Value]) -> Value:
        day, at = _day(arguments[0]), _time(arguments[1])
        return day is not None and at is not None and hours.is_open_at(day, at)

    def weekday(arguments: Sequence[Value]) -> Value:
        day = _day(arguments[0])
        return _WEEKDAYS[day.weekday()] if day else ""

    return {
        "open": lambda _: hours.is_open(clock()),
        "open_on": open_on,
        "open_at": open_at,
        "today": lambda _: clock().date().isoformat(),
        "now": lambda _: f"{clock():%H:%M}",
        "weekday": weekday,
        "length": lambda arguments: Decimal(len(str(arguments[0]))),
    }


def _day(value: Value) -> date | None:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return None


def _time(value: Value) -> time | None:
    try:
        return time.fromisoformat(str(value))
    except ValueError:
        return None
