"""`RateLimit`: how often something may be logged, however often it happens."""

from __future__ import annotations


class RateLimit:
    """Lets one event through each period, and counts those that it kept back."""

    def __init__(self, *, period_s: float) -> None:
        self._period_s = period_s
        self._next_at = float("-inf")
        self._held_back = 0

    def allow(self, *, now: float) -> int | None:
        """None: keep it back. A number: let it through, and so many were kept back before it."""
        if now < self._next_at:
            self._held_back += 1
            return None
        self._next_at = now + self._period_s
        held_back, self._held_back = self._held_back, 0
        return held_back
