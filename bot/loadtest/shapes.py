"""When calls begin: a stage is a load held for a while; a shape is a list of stages. Seconds from the stage's start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_STARTS_PER_S = 10.0  # callers of a stage come in no faster than that, so that set-up is not what is measured
_SPREAD_S = 8.0  # and over about a turn and its answer, so that they do not speak in step; less where there are few
_APART_S = 2.0
_LONGEST_RAMP_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Stage:
    """`calls` callers, each calling again when its call ends; or new calls at `rate_per_s`, whatever the others do."""

    name: str
    calls: int
    hold_s: float
    rate_per_s: float = 0.0  # 0: closed loop
    ramp: bool = False  # the callers come in evenly over the whole stage

    def starts(self) -> tuple[float, ...]:
        """When each caller (closed loop) or call (open loop) begins."""
        if self.rate_per_s:
            return tuple(number / self.rate_per_s for number in range(int(self.rate_per_s * self.hold_s)))
        spread_s = max(self.calls / _STARTS_PER_S, min(_SPREAD_S, _APART_S * (self.calls - 1)))
        over_s = min(spread_s, self.hold_s * _LONGEST_RAMP_SHARE)
        if self.ramp:
            over_s = self.hold_s * 0.9
        return tuple(over_s * number / self.calls for number in range(self.calls))

    def share(self, index: int, count: int) -> tuple[float, ...]:
        """The starts of one generator of several."""
        return self.starts()[index::count]


def named(calls: int) -> str:
    """What a load is called."""
    return f"{calls} call{'s' * (calls != 1)}"


def steps(loads: Sequence[int], hold_s: float) -> tuple[Stage, ...]:
    """Hold one load after another."""
    return tuple(Stage(named(load), load, hold_s) for load in loads)


def ramp(calls: int, over_s: float) -> tuple[Stage, ...]:
    """Let callers come in evenly."""
    return (Stage(f"ramp to {named(calls)}", calls, over_s, ramp=True),)


def burst(rate_per_s: float, hold_s: float) -> tuple[Stage, ...]:
    """Place calls at a rate; `calls` is what would be under way if each lasted to the end."""
    return (Stage(f"{rate_per_s:g} calls a second", int(rate_per_s * hold_s), hold_s, rate_per_s=rate_per_s),)


def soak(calls: int, hours: float) -> tuple[Stage, ...]:
    """Hold one load for hours, judged each half hour."""
    parts = max(1, round(hours * 2))
    hold_s = hours * 3600 / parts
    return tuple(Stage(f"{named(calls)}, part {part + 1} of {parts}", calls, hold_s) for part in range(parts))
