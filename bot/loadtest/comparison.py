"""Two reports beside each other: what changed, and whether it is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator

from bot.loadtest.percentiles import Difference, Groups, difference
from bot.loadtest.results import CallRecord, Report, StageRecord
from bot.loadtest.summary import gap_rate, groups_of

_COMPARED = (
    ("latency_ms", 50.0), ("latency_ms", 95.0), ("key_latency_ms", 95.0), ("greeting_ms", 95.0), ("answer_ms", 95.0),
    ("barge_in_ms", 95.0), ("mos", 50.0), ("pesq", 50.0),
)  # fmt: skip
_BETTER_HIGH = {"mos", "pesq"}
_LEAST, _LEAST_TAIL = 8, 20  # values of each run; of fewer the resamples say nothing of a median or mean, of a p95


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of one load."""

    stage: str
    name: str
    first: float
    second: float
    difference: Difference
    counts: tuple[int, int]  # of values in each run
    invalid: bool = False  # one of the two is not to be believed

    @property
    def verdict(self) -> str:
        """better, worse, no significant change, too few values to say, or INVALID."""
        if self.invalid:
            return "INVALID"
        least = _LEAST_TAIL if self.name.endswith("p95") else _LEAST
        if min(self.counts) < least:
            return f"too few to say ({self.counts[0]} and {self.counts[1]}; {least} are needed)"
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
    a, b = groups_of(first.records), groups_of(second.records)
    compared: list[tuple[str, float | None, Groups, Groups]] = [
        (f"{name} p{rank:.0f}", rank, a[name], b[name]) for name, rank in _COMPARED
    ]
    for name, sample in (("missed turns, share", _missed), ("gaps a minute of speech, by call", _gaps)):
        compared.append((name, None, sample(first.records), sample(second.records)))
    changes: list[Change] = []
    for name, rank, before, after in compared:
        found = difference(before, after, rank, rng)
        if found is not None:
            counts = (sum(map(len, before)), sum(map(len, after)))
            invalid = bool(first.invalid or second.invalid)
            changes.append(Change(first.name, name, found.first, found.first + found.value, found, counts, invalid))
    return changes


def _missed(calls: Sequence[CallRecord]) -> Groups:
    return [[float(turn.missed) for turn in call.turns] for call in calls]


def _gaps(calls: Sequence[CallRecord]) -> Groups:
    rates = (gap_rate([call]) for call in calls)
    return [[rate] for rate in rates if rate is not None]


def comparison_table(changes: tuple[Change, ...]) -> str:
    """As Markdown."""
    if not changes:
        return "Nothing to compare: no load of one run is in the other."
    lines = ["| load | figure | first | second | change | 95 % | |", "|---|---|--:|--:|--:|--:|---|"]
    lines += [
        f"| {one.stage} | {one.name} | {one.first:.4g} | {one.second:.4g} | {one.difference.value:+.4g} "
        f"| {one.difference.low:+.4g} to {one.difference.high:+.4g} | {one.verdict} |"
        for one in changes
    ]
    return "\n".join(lines)
