"""`BadLink`: a datagram link that loses, doubles, reorders and delays by a seed; sans-I/O and told the time."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LinkQuality:
    """How bad a link is: chances from 0 to 1, delays in seconds."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0  # chance that a datagram is held back by `reorder_s`
    delay_s: float = 0.0
    jitter_s: float = 0.0  # added to the delay, evenly spread
    reorder_s: float = 0.2


class BadLink(Generic[T]):
    """One direction of a link. The same seed and the same traffic give the same fate."""

    def __init__(self, quality: LinkQuality, *, seed: int) -> None:
        self._quality = quality
        self._random = random.Random(seed)
        self._heap: list[tuple[float, int, T]] = []
        self._order = 0
        self.sent = 0
        self.lost = 0

    def send(self, datagram: T, *, now: float) -> None:
        """Put a datagram on the link."""
        self.sent += 1
        if self._random.random() < self._quality.loss:
            self.lost += 1
            return
        self._enqueue(datagram, now)
        if self._random.random() < self._quality.duplicate:
            self._enqueue(datagram, now)

    def _enqueue(self, datagram: T, now: float) -> None:
        at = now + self._quality.delay_s + self._random.random() * self._quality.jitter_s
        if self._random.random() < self._quality.reorder:
            at += self._quality.reorder_s
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, datagram))

    def next_at(self) -> float | None:
        """When the next datagram arrives, or None."""
        return self._heap[0][0] if self._heap else None

    def poll(self, *, now: float) -> T | None:
        """Next datagram that has arrived by now, or None."""
        if self._heap and self._heap[0][0] <= now:
            return heapq.heappop(self._heap)[2]
        return None
