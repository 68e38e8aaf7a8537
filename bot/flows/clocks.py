"""The deadlines of a call flow, each started and stopped by name."""

from __future__ import annotations

from enum import Enum


class Clock(Enum):
    """What the engine waits for."""

    NO_INPUT = "no_input"  # the caller to say something
    KEYS = "keys"  # the next digit
    ANSWER = "answer"  # a tool, the understanding step or the language model
    SPEECH = "speech"  # the end of what the caller began to say


class Clocks:
    """Running deadlines, in seconds of the call's monotonic clock."""

    def __init__(self) -> None:
        self._due: dict[Clock, float] = {}

    def start(self, clock: Clock, *, at: float) -> None:
        self._due[clock] = at

    def stop(self, *clocks: Clock) -> None:
        for clock in clocks:
            self._due.pop(clock, None)

    def stop_all(self) -> None:
        self._due.clear()

    def is_running(self, clock: Clock) -> bool:
        return clock in self._due

    def next_at(self) -> float | None:
        """Give the earliest deadline."""
        return min(self._due.values(), default=None)

    def take_due(self, *, now: float) -> Clock | None:
        """Stop and give the earliest clock that is due."""
        due = [(at, clock) for clock, at in self._due.items() if at <= now]
        if not due:
            return None
        _, clock = min(due, key=lambda found: found[0])
        del self._due[clock]
        return clock
