"""Percentiles with bootstrap confidence intervals, and whether two samples differ. Seeded by the generator given.

Turns of one call are more alike than turns of several, so samples are given call by call: a resample draws calls, then
as many values within each. Drawn as if independent, calls that differ by as much as their turns do made two runs of the
same bot "significantly" different in 40 of 100 comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

_RESAMPLES = 1000
_ALPHA = 0.05
_INTERVAL = (100 * _ALPHA / 2, 100 - 100 * _ALPHA / 2)
_AT_ONCE = 1_000_000  # values that are drawn at once
Groups: TypeAlias = Sequence[Sequence[float]]
"""Values by call; calls without any do not count."""

RANKS = (50.0, 90.0, 95.0, 99.0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A sample of one quantity."""

    count: int
    p50: Estimate
    p90: Estimate
    p95: Estimate
    p99: Estimate
    largest: float
    mean: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Of a percentile, second sample less `first`; significant where the interval leaves out zero."""

    first: float
    value: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether it is more than chance makes of it, at 95 %."""
        return self.low > 0 or self.high < 0


def summarise(groups: Groups, rng: Generator) -> Summary | None:
    """Summarise a sample; None for an empty one. High ranks of small samples are close to the largest value."""
    sample = _Sample.of(groups)
    if sample is None:
        return None
    points = np.percentile(sample.values, RANKS)
    low, high = np.percentile(sample.resampled(RANKS, rng), _INTERVAL, axis=1)
    p50, p90, p95, p99 = (Estimate(float(p), float(a), float(b)) for p, a, b in zip(points, low, high, strict=True))
    values = sample.values
    return Summary(len(values), p50, p90, p95, p99, float(values.max()), float(values.mean()))


def difference(first: Groups, second: Groups, rank: float | None, rng: Generator) -> Difference | None:
    """Compare a percentile of two independent samples, or their means (None), by bootstrap; None where one is empty."""
    a, b = _Sample.of(first), _Sample.of(second)
    if a is None or b is None:
        return None
    before, after = (one.resampled((rank,), rng)[0] for one in (a, b))
    low, high = np.percentile(after - before, _INTERVAL)
    return Difference(a.figure(rank), b.figure(rank) - a.figure(rank), float(low), float(high))


@dataclass(frozen=True, slots=True)
class _Sample:
    """Values one call after the other, and how many each call has."""

    values: NDArray[np.float64]
    lengths: NDArray[np.intp]

    @classmethod
    def of(cls, groups: Groups) -> _Sample | None:
        """None where there are no values."""
        lengths = np.array([len(group) for group in groups if group], np.intp)
        values = np.array([value for group in groups for value in group], np.float64)
        return cls(values, lengths) if len(values) else None

    def figure(self, rank: float | None) -> float:
        """A percentile, or the mean."""
        return float(self.values.mean() if rank is None else np.percentile(self.values, rank))

    def resampled(self, ranks: Sequence[float | None], rng: Generator) -> NDArray[np.float64]:
        """Percentiles of resamples, or their means: (rank, resample)."""
        size = max(1, _AT_ONCE // (len(self.lengths) * int(self.lengths.max())))
        parts = [self._figures(ranks, min(size, _RESAMPLES - begin), rng) for begin in range(0, _RESAMPLES, size)]
        return np.concatenate(parts, axis=1)

    def _figures(self, ranks: Sequence[float | None], count: int, rng: Generator) -> NDArray[np.float64]:
        drawn, totals = self._drawn(count, rng)
        rows = np.arange(count)
        found: list[NDArray[np.float64]] = []
        for rank in ranks:
            if rank is None:
                found.append(np.where(np.isinf(drawn), 0.0, drawn).sum(axis=1) / totals)
                continue
            place = (totals - 1) * (rank / 100)
            under = place.astype(np.intp)
            low, high = drawn[rows, under], drawn[rows, np.minimum(under + 1, totals - 1)]
            found.append(low + (place - under) * (high - low))
        return np.stack(found)

    def _drawn(self, count: int, rng: Generator) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Resamples in order, a row each, with infinity after their ends; and how many values each has."""
        calls = rng.integers(len(self.lengths), size=(count, len(self.lengths)))
        lengths = self.lengths[calls]
        totals = lengths.sum(axis=1)
        ends = np.cumsum(self.lengths)
        begins = np.repeat((ends - self.lengths)[calls].ravel(), lengths.ravel())
        spans = np.repeat(lengths.ravel(), lengths.ravel())
        drawn = np.full((count, int(totals.max())), np.inf)
        drawn[np.arange(drawn.shape[1]) < totals[:, None]] = self.values[
            begins + (rng.random(len(begins)) * spans).astype(np.intp)
        ]
        drawn.sort(axis=1)
        return drawn, totals
