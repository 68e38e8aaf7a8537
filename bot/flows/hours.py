"""Opening hours of a flow: weekly hours, closed days, and days with hours of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_KEY = r"(?:mon|tue|wed|thu|fri|sat|sun)(?:-(?:mon|tue|wed|thu|fri|sat|sun))?"
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)")

Spans: TypeAlias = tuple[tuple[int, int], ...]  # minutes of the day, [open, closed)


def _spans(written: object) -> Spans:
    if not isinstance(written, str):
        raise ValueError(f'{written!r} are no hours: write "09:00-18:00"')  # noqa: TRY004 (pydantic reports ValueError)
    spans: list[tuple[int, int]] = []
    for part in written.split(","):
        match = _SPAN.fullmatch(part.strip())
        if match is None:
            raise ValueError(f'{part.strip()!r} are no hours: write "09:00-18:00"')
        opens, closes = (60 * int(match[i]) + int(match[i + 1]) for i in (1, 3))
        if not (opens < closes <= 24 * 60) or (spans and opens < spans[-1][1]):
            raise ValueError(f'{written!r} run backwards or overlap: write them in order, "09:00-13:00, 14:00-18:00"')
        spans.append((opens, closes))
    return tuple(spans)


Hours = Annotated[Spans, BeforeValidator(_spans), WithJsonSchema({"type": "string", "pattern": r"^[0-9:, -]+$"})]


class Calendar(BaseModel):
    """When the flow's owner works. Times are of `timezone`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timezone: Literal["Asia/Baku"] = "Asia/Baku"
    hours: dict[Annotated[str, Field(pattern=f"^{_DAY_KEY}$")], Hours]
    closed: frozenset[date] = frozenset()
    special: dict[date, Hours] = Field(default_factory=dict[date, Spans])

    def spans_on(self, day: date) -> Spans:
        """Give the hours of a day; none when it is closed."""
        if day in self.special:
            return self.special[day]
        return () if day in self.closed else self._weekly().get(day.weekday(), ())

    def is_open(self, at: datetime) -> bool:
        """Tell whether it is open at a local wall-clock time."""
        return self.is_open_at(at.date(), at.time())

    def is_open_at(self, day: date, at: time) -> bool:
        """Tell whether it is open on a day at a time."""
        minute = 60 * at.hour + at.minute
        return any(opens <= minute < closes for opens, closes in self.spans_on(day))

    def _weekly(self) -> Mapping[int, Spans]:
        return {day: spans for key, spans in self.hours.items() for day in weekdays(key)}


def weekdays(key: str) -> Sequence[int]:
    """Give the weekdays (Monday is 0) of `mon`, `mon-fri` or `sat-mon`."""
    first, _, last = key.partition("-")
    start, end = _DAYS.index(first), _DAYS.index(last or first)
    return [(start + step) % 7 for step in range((end - start) % 7 + 1)]
