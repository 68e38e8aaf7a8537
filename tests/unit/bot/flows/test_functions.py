from __future__ import annotations

from datetime import datetime

import pytest

from bot.flows.expressions import Expression
from bot.flows.functions import ARITY, functions
from bot.flows.hours import Calendar

_CALENDAR = Calendar.model_validate({"hours": {"mon-fri": "09:00-18:00"}})
_NOON = datetime(2026, 11, 23, 12, 0)  # noqa: DTZ001 (wall clock of the flow's own zone)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("open()", True),
        ("open_on(day)", True),
        ("open_on('2026-11-29')", False),
        ("open_on('sabah')", False),
        ("open_at(day, '17:59')", True),
        ("open_at(day, '18:00')", False),
        ("open_at(day, 'axşam')", False),
        ("today() == '2026-11-23'", True),
        ("now() >= '12:00'", True),
        ("weekday(day) == 'tue'", True),
        ("weekday('x') == ''", True),
        ("length('abc') == 3", True),
    ],
)
def test_conditions_know_the_calendar_and_the_clock(condition: str, holds: bool) -> None:
    assert Expression.of(condition).holds({"day": "2026-11-24"}, functions(_CALENDAR, lambda: _NOON)) is holds


def test_without_a_calendar_it_is_never_open() -> None:
    assert not Expression.of("open()").holds({}, functions(None, lambda: _NOON))


def test_every_function_has_its_number_of_arguments() -> None:
    assert functions(None, lambda: _NOON).keys() == ARITY.keys()
