from __future__ import annotations

from datetime import date, datetime, time

import pytest
from pydantic import ValidationError

from bot.flows.hours import Calendar, weekdays

_CALENDAR = Calendar.model_validate(
    {
        "hours": {"mon-thu": "09:00-13:00, 14:00-18:00", "fri": "09:00-17:00", "sat": "10:00-24:00"},
        "closed": ["2026-12-31"],
        "special": {"2026-12-30": "09:00-12:00"},
    }
)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-11-23 09:00", True),  # Monday
        ("2026-11-23 08:59", False),
        ("2026-11-23 13:00", False),
        ("2026-11-23 14:00", True),
        ("2026-11-23 17:59", True),
        ("2026-11-23 18:00", False),
        ("2026-11-27 17:30", False),  # Friday
        ("2026-11-28 23:59", True),  # Saturday
        ("2026-11-29 12:00", False),  # Sunday
        ("2026-12-31 12:00", False),  # closed
        ("2026-12-30 11:59", True),  # its own hours
        ("2026-12-30 14:00", False),
    ],
)
def test_open_is_a_matter_of_weekday_holiday_and_minute(at: str, is_open: bool) -> None:
    assert _CALENDAR.is_open(datetime.fromisoformat(at)) is is_open


def test_a_day_is_open_when_it_has_hours() -> None:
    assert _CALENDAR.spans_on(date(2026, 11, 29)) == ()
    assert _CALENDAR.is_open_at(date(2026, 11, 24), time(9, 0))


def test_spans_of_days_may_run_over_the_weekend() -> None:
    assert weekdays("sat-mon") == [5, 6, 0]
    assert weekdays("sun") == [6]


@pytest.mark.parametrize(
    "hours",
    [
        {"mon": "9-18"},
        {"mon": "18:00-09:00"},
        {"mon": "09:00-12:00, 11:00-18:00"},
        {"mon": "09:00-24:30"},
        {"mon": 9},
        {"bazar": "09:00-18:00"},
    ],
)
def test_hours_that_make_no_sense_are_refused(hours: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Calendar.model_validate({"hours": hours})
