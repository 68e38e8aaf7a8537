"""What is wrong with a bot, named: from what its callers measured in one stage."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_TOGETHER_S = 0.5  # gaps of several calls so near each other have one cause
_LEAST_CLUSTERS = 3
_NEAR = 0.05  # of a period
_NEAR_S = 0.12  # a gap is placed to a piece of the alignment
_AGREE = 0.8
_LEAST_INTERVALS = 3  # fewer agree by chance
_LEAST_PERIOD_S = 1.0  # by how well a gap is placed, a shorter one fits anything
_DROPS = 0.005
_DEVIATIONS = 4
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
    network_burst: float = 1.0  # packets that it loses at a time, on average
    packets: int = 0  # that the bot sent
    network_gap_ms: float = 0.0  # gaps up to so long are the network's, as it was told to be
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
    clusters = _clusters([gap for gap in seen.gaps if gap.length_ms > seen.network_gap_ms])
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
    """The longest time of which nearly all intervals are a multiple (1 to 4): stalls in silence are not heard."""
    for candidate in sorted({interval / part for interval in intervals for part in (1, 2, 3)}, reverse=True):
        if candidate < _LEAST_PERIOD_S:
            return None
        near_s = max(_NEAR * candidate, _NEAR_S)
        counts = [round(interval / candidate) for interval in intervals]
        near = [
            (interval, count)
            for interval, count in zip(intervals, counts, strict=True)
            if 1 <= count <= 4 and abs(interval - count * candidate) <= near_s
        ]
        if len(near) >= max(_LEAST_INTERVALS, _AGREE * len(intervals)):
            return sum(interval for interval, _ in near) / sum(count for _, count in near)
    return None


def _drops(seen: Observations) -> Finding | None:
    lost = max(0.0, seen.lost_share - seen.network_loss)
    # Of losses in bursts of geometric length: the deviation of their share.
    chance = math.sqrt(seen.network_loss * (2 * seen.network_burst - 1) / seen.packets) if seen.packets else 0.0
    if lost > max(_DROPS, _DEVIATIONS * chance):
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
