"""How long an utterance's first sound is held: as long as what follows it has lately come late, and mostly not at all.

A listener plays from the first piece on. Where an engine is near its end, a frame is made in less time than it lasts,
but not each: then the second piece of some utterance comes a few milliseconds after the first has been played, and that
is heard. Held for so long, the first is a little later and nothing is missed. It is a jitter buffer's delay, at the end
that sees the pieces of all listeners and so knows it beforehand.
"""

from __future__ import annotations

SPARE_S = 0.015  # by which what is held is to be early
MOST_S = 0.080  # a frame: an engine that is later than that is too slow, and no delay mends it
WINDOW_S = 5.0  # what is remembered is one to two of these old


class HeadStart:
    """Of all streams of an engine. `now` is monotonic, in seconds, and never goes back."""

    def __init__(self) -> None:
        self._window = 0
        self._worst_s = float("-inf")  # in this window
        self._worst_before_s = float("-inf")  # in the one before

    def note(self, late_s: float, *, now: float) -> None:
        """A piece came so much after the sound before it had been played by who played from its arrival (-: before)."""
        self._turn_to(now)
        self._worst_s = max(self._worst_s, late_s)

    def hold_s(self, *, now: float) -> float:
        """Return for how long a first piece is to be held."""
        self._turn_to(now)
        return min(max(self._worst_s, self._worst_before_s, -SPARE_S) + SPARE_S, MOST_S)

    def _turn_to(self, now: float) -> None:
        window = int(now / WINDOW_S)
        if window != self._window:
            self._worst_before_s = self._worst_s if window == self._window + 1 else float("-inf")
            self._window, self._worst_s = window, float("-inf")
