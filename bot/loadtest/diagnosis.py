"""What is wrong with a bot, named: from what its callers measured in one stage."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_TOGETHER_S = 0.5  # gaps of several calls so near each other have one cause
_LEAST_CLUSTERS = 3
_NEAR = 0.15
_AGREE = 0.7
_DROPS = 0.005
_LEAST_CALLS = 4  # fewer leave nothing that could be told from chance


@dataclass(frozen=True, slots=True)
class HeardGap:
    """A gap in one call; `at` is on one clock for all calls, in seconds."""

    call: str
    at: float
    length_ms: float


@dataclass(frozen=True, slots=True)
class Observations:
    """One stage."""

    gaps: Sequence[HeardGap] = ()
    lost_share: float = 0.0  # of the bot's packets that never came
    network_loss: float = 0.0  # of it, what the network between was told to lose
    cut_share: float = 0.0  # of the bot's speech that was skipped, by alignment
    cut_ins: int = 0
    ignored: int = 0
    false_stops: int = 0
    coughs: int = 0
    calls: int = 0  # that have ended
    sockets_before: int | None = None  # UDP sockets of the bot, idle
    sockets_after: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: a name for machines, a sentence for people."""

    name: str
    sentence: str


def diagnose(seen: Observations) -> tuple[Finding, ...]:
    """Name what is wrong; empty where nothing is."""
    checks = (_stalls(seen), _drops(seen), _barge_in(seen), _coughs(seen), _leak(seen))
    return tuple(finding for finding in checks if finding is not None)


def _stalls(seen: Observations) -> Finding | None:
    clusters = _clusters(seen.gaps)
    if len(clusters) < _LEAST_CLUSTERS:
        return None
    length_ms = median(max(gap.length_ms for gap in cluster) for cluster in clusters)
    times = [min(gap.at for gap in cluster) for cluster in clusters]
    period_s = _period([b - a for a, b in itertools.pairwise(times)])
    if period_s is not None:
        return Finding(
            "periodic_stalls",
            f"the bot's sound stands still for about {length_ms:.0f} ms every {period_s:.1f} s"
            f" ({len(clusters)} times, {len({gap.call for gap in seen.gaps})} calls)",
        )
    return Finding("stalls", f"the bot's sound stands still {len(clusters)} times, about {length_ms:.0f} ms each")


def _clusters(gaps: Sequence[HeardGap]) -> list[list[HeardGap]]:
    clusters: list[list[HeardGap]] = []
    for gap in sorted(gaps, key=lambda gap: gap.at):
        if clusters and gap.at - clusters[-1][-1].at < _TOGETHER_S:
            clusters[-1].append(gap)
        else:
            clusters.append([gap])
    return clusters


def _period(intervals: Sequence[float]) -> float | None:
    """The longest time of which most intervals are a multiple (1 to 4): stalls in silence are not heard."""
    for candidate in sorted(intervals, reverse=True):
        near = [
            interval
            for interval in intervals
            if 1 <= round(interval / candidate) <= 4
            and abs(interval / candidate - round(interval / candidate)) < _NEAR * round(interval / candidate)
        ]
        if len(near) >= max(2, _AGREE * len(intervals)):
            return median(interval / round(interval / candidate) for interval in near)
    return None


def _drops(seen: Observations) -> Finding | None:
    lost = max(0.0, seen.lost_share - seen.network_loss)
    if lost > max(_DROPS, 0.3 * seen.network_loss):
        return Finding("frames_dropped", f"{100 * lost:.1f} % of the bot's packets never came")
    if seen.cut_share > _DROPS:
        return Finding("frames_dropped", f"{100 * seen.cut_share:.1f} % of the bot's speech was left out")
    return None


def _barge_in(seen: Observations) -> Finding | None:
    if seen.cut_ins and 2 * seen.ignored > seen.cut_ins:
        return Finding("barge_in_ignored", f"the bot went on speaking in {seen.ignored} of {seen.cut_ins} barge-ins")
    return None


def _coughs(seen: Observations) -> Finding | None:
    if seen.coughs and 2 * seen.false_stops > seen.coughs:
        return Finding("stops_for_coughs", f"the bot fell silent at {seen.false_stops} of {seen.coughs} coughs")
    return None


def _leak(seen: Observations) -> Finding | None:
    if seen.sockets_before is None or seen.sockets_after is None or seen.calls < _LEAST_CALLS:
        return None
    left = seen.sockets_after - seen.sockets_before
    if left < max(2, seen.calls / 2):
        return None
    return Finding(
        "ports_leaked", f"{left} UDP sockets are left of {seen.calls} calls ({left / seen.calls:.1f} a call)"
    )
