"""Percentiles with bootstrap confidence intervals, and whether two samples differ. Seeded by the generator given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

_RESAMPLES = 1000
_ALPHA = 0.05
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
    """Of a percentile, second sample less first; significant where the interval leaves out zero."""

    value: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether it is more than chance makes of it, at 95 %."""
        return self.low > 0 or self.high < 0


def summarise(values: Sequence[float], rng: Generator) -> Summary | None:
    """Summarise a sample; None for an empty one. High ranks of small samples are close to the largest value."""
    if not values:
        return None
    sample = np.asarray(values, np.float64)
    points = np.percentile(sample, RANKS)
    low, high = np.percentile(_resampled(sample, RANKS, rng), [100 * _ALPHA / 2, 100 - 100 * _ALPHA / 2], axis=1)
    p50, p90, p95, p99 = (Estimate(float(p), float(a), float(b)) for p, a, b in zip(points, low, high, strict=True))
    return Summary(len(sample), p50, p90, p95, p99, float(sample.max()), float(sample.mean()))


def difference(
    first: Sequence[float], second: Sequence[float], rank: float | None, rng: Generator
) -> Difference | None:
    """Compare a percentile of two independent samples, or their means (None), by bootstrap; None where one is empty."""
    if not first or not second:
        return None
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if rank is None:
        means = [rng.choice(one, size=(_RESAMPLES, len(one)), replace=True).mean(axis=1) for one in (a, b)]
        low, high = np.percentile(means[1] - means[0], [100 * _ALPHA / 2, 100 - 100 * _ALPHA / 2])
        return Difference(float(b.mean() - a.mean()), float(low), float(high))
    differences = _resampled(b, (rank,), rng)[0] - _resampled(a, (rank,), rng)[0]
    low, high = np.percentile(differences, [100 * _ALPHA / 2, 100 - 100 * _ALPHA / 2])
    return Difference(float(np.percentile(b, rank) - np.percentile(a, rank)), float(low), float(high))


def _resampled(sample: np.ndarray, ranks: Sequence[float], rng: Generator) -> np.ndarray:
    """Percentiles of resamples: (rank, resample)."""
    drawn = rng.choice(sample, size=(_RESAMPLES, len(sample)), replace=True)
    return np.percentile(drawn, ranks, axis=1)
