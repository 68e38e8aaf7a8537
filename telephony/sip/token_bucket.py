"""`TokenBuckets`: how much each source may send, with room for a burst; it holds a bounded number of sources."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MAX_SOURCES = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class TokenBuckets:
    """One bucket a source, full at first. Of too many sources the one heard least lately is forgotten."""

    def __init__(self, *, per_s: float, burst: float, max_sources: int = MAX_SOURCES) -> None:
        self._per_s = per_s
        self._burst = burst
        self._max = max_sources
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        """Count the sources that are known."""
        return len(self._buckets)

    def take(self, source: str, *, now: float) -> bool:
        """Take one from a source's bucket; False, and nothing is taken, when it holds less."""
        bucket = self._bucket(source, now)
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def is_empty(self, source: str, *, now: float) -> bool:
        """Whether a source has less than one left."""
        return self._bucket(source, now).tokens < 1.0

    def _bucket(self, source: str, now: float) -> _Bucket:
        bucket = self._buckets.get(source)
        if bucket is None:
            if len(self._buckets) >= self._max:
                self._buckets.popitem(last=False)
            bucket = self._buckets[source] = _Bucket(self._burst, now)
            return bucket
        self._buckets.move_to_end(source)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled_at) * self._per_s)
        bucket.filled_at = now
        return bucket
