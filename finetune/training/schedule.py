"""The learning rate as a share of its peak, up in a line and down in a cosine; where in it a run with a deadline is."""

from __future__ import annotations

import math

from finetune.config import ScheduleSettings


def rate(place: float, settings: ScheduleSettings) -> float:
    """Share of the peak for a place in the schedule, in steps; the first is 0."""
    warmup = round(settings.warmup_share * settings.steps)
    if place < warmup:
        return (place + 1) / (warmup + 1)
    done = (place - warmup) / max(settings.steps - warmup, 1)
    return settings.final_share + (1.0 - settings.final_share) * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))


class Deadline:
    """Places in a schedule of `steps` for a run that ends after them or when its time is up, whichever is sooner.

    The first `settled` steps, slow since things are compiled and memory is taken, are places by themselves. From then
    on the place follows the share of the time that is used, so rate and end fit whatever a step turns out to take.
    """

    def __init__(self, *, steps: int, settled: int = 20) -> None:
        self._steps = steps
        self._settled = settled
        self._first: int | None = None
        self._began: tuple[int, float] | None = None

    def place(self, step: int, *, left_s: float) -> float:
        """Give the place after so many steps, with so much time left; `steps` or more is the end."""
        if left_s <= 0.0:
            return float(max(step, self._steps))
        if self._first is None:
            self._first = step
        if self._began is None:
            if step < self._first + self._settled:
                return float(step)
            self._began = step, left_s
        begun, whole_s = self._began
        return max(float(step), begun + (self._steps - begun) * (1.0 - left_s / whole_s))
