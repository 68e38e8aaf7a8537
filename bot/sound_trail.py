"""`SoundTrail`: where the sound of a caller's words ends, by its level.

The speech model goes on hearing a voice for 80 to 140 ms after its sound has ended, and needs a pause after that. The
level knows within a frame or two, though not whether the caller has finished or closes the lips for a "p": so a fall
of the sound lets recognition begin, and only the model's pause ends anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

_BELOW_PEAK_DB = 28.0  # a vowel's decay ends there; weak final vowels are above
_OVER_NOISE_DB = 6.0


@dataclass(frozen=True, slots=True)
class SoundFaded:
    """The sound ended a moment ago; perhaps the caller has finished."""


@dataclass(frozen=True, slots=True)
class SoundReturned:
    """It did not end: the caller goes on."""


TrailEvent: TypeAlias = SoundFaded | SoundReturned


class SoundTrail:
    """Told each frame while the caller speaks."""

    def __init__(self, *, fade_ms: int) -> None:
        """`fade_ms` of quiet are a fall."""
        self._fade_ms = fade_ms
        self._peak_db = -100.0
        self._faded = False
        self.ended_at_ms = 0  # end of the last loud frame, in media time

    def begin(self, levels_db: Iterable[float], *, at_ms: int) -> None:
        """Speech has started; `levels_db` are of its frames so far, which end at `at_ms`."""
        self._peak_db = max(levels_db, default=-100.0)
        self._faded = False
        self.ended_at_ms = at_ms

    def feed(self, level_db: float, *, noise_db: float, end_ms: int) -> TrailEvent | None:
        """Take the level of the frame that ends at media time `end_ms`."""
        self._peak_db = max(self._peak_db, level_db)
        if level_db > max(noise_db + _OVER_NOISE_DB, self._peak_db - _BELOW_PEAK_DB):
            self.ended_at_ms = end_ms
            returned, self._faded = self._faded, False
            return SoundReturned() if returned else None
        if self._faded or end_ms - self.ended_at_ms < self._fade_ms:
            return None
        self._faded = True
        return SoundFaded()
