"""Two reports beside each other: what changed, and whether it is more than chance."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.random import Generator

from bot.loadtest.percentiles import Difference, difference
from bot.loadtest.results import Report, StageRecord
from bot.loadtest.summary import samples_of

_COMPARED = (
    ("latency_ms", 50.0), ("latency_ms", 95.0), ("key_latency_ms", 95.0), ("greeting_ms", 95.0), ("answer_ms", 95.0),
    ("barge_in_ms", 95.0), ("mos", 50.0), ("pesq", 50.0),
)  # fmt: skip
_BETTER_HIGH = {"mos", "pesq"}


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of one load."""

    stage: str
    name: str
    first: float
    second: float
    difference: Difference

    @property
    def verdict(self) -> str:
        """better, worse or unchanged."""
        if not self.difference.significant:
            return "no significant change"
        gained = (self.difference.value > 0) == (self.name.partition(" ")[0] in _BETTER_HIGH)
        return "better" if gained else "worse"


def compare(first: Report, second: Report, rng: Generator) -> tuple[Change, ...]:
    """Compare the loads that both have, by name."""
    theirs = {stage.name: stage for stage in second.stages}
    return tuple(
        change for stage in first.stages if stage.name in theirs for change in _stage(stage, theirs[stage.name], rng)
    )


def _stage(first: StageRecord, second: StageRecord, rng: Generator) -> list[Change]:
    a, b = samples_of(first.records), samples_of(second.records)
    changes: list[Change] = []
    for name, rank in _COMPARED:
        found = difference(a[name], b[name], rank, rng)
        if found is not None:
            before = _value(first, name, rank)
            changes.append(Change(first.name, f"{name} p{rank:.0f}", before, before + found.value, found))
    return changes


def _value(stage: StageRecord, name: str, rank: float) -> float:
    summary = stage.summaries[name]
    return (summary.p50 if rank == 50 else summary.p95).value


def comparison_table(changes: tuple[Change, ...]) -> str:
    """As Markdown."""
    lines = ["| load | figure | first | second | change | 95 % | |", "|---|---|--:|--:|--:|--:|---|"]
    lines += [
        f"| {one.stage} | {one.name} | {one.first:.4g} | {one.second:.4g} | {one.difference.value:+.4g} "
        f"| {one.difference.low:+.4g} to {one.difference.high:+.4g} | {one.verdict} |"
        for one in changes
    ]
    return "\n".join(lines)
