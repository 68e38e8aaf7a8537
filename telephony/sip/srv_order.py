"""SRV records and the order in which their servers are asked (RFC 2782)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate, groupby


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """One server of a service."""

    priority: int  # the least first
    weight: int  # its share of the calls among those of one priority
    port: int
    target: str  # a name; empty: the service is decidedly not available here


def in_order(records: Iterable[SrvRecord], *, fraction: Callable[[], float]) -> list[SrvRecord]:
    """Sort by priority, and draw by weight within one; `fraction` gives a number from 0 to 1, a new one each time."""
    ordered: list[SrvRecord] = []
    # Those of weight 0 come first, so that they have a small chance beside others.
    sorted_records = sorted(records, key=lambda record: (record.priority, record.weight))
    for _, group in groupby(sorted_records, key=lambda record: record.priority):
        left = list(group)
        while left:
            ordered.append(left.pop(_draw([record.weight for record in left], fraction())))
    return ordered


def _draw(weights: list[int], fraction: float) -> int:
    """Pick the first whose running sum reaches a number drawn from 0 to the sum of all, both included."""
    total = sum(weights)
    mark = min(int(fraction * (total + 1)), total)
    return next(index for index, running in enumerate(accumulate(weights)) if running >= mark)
