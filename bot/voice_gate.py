"""`VoiceGate`: which windows of a caller's line need the speech model at all.

Most of a call the caller listens: the line is silent or hisses evenly, and no model is needed to say that nobody
speaks. A window has to be scored from the first that is louder than the line's own noise until the model and the level
have both been quiet for a while. What came before that first window is kept: the model is given it too, since it
wants to have heard the silence (without, the onset comes up to 512 ms late; docs/benchmarks.md).
"""

from __future__ import annotations

from collections import deque

EARLIER_WINDOWS = 16  # 512 ms that the model hears before the window that opened the gate
_FLOOR_DB = -66.0  # dBFS: G.711's idle steps and comfort noise are below
_MARGIN_DB = 3.0  # over the noise; with 4 dB speech 20 dB under the usual was found up to 256 ms late
_NOISE_WINDOWS = 64  # 2 s, in which even a fluent caller takes breath
_NOISE_SHARE = 0.25  # the level that a quarter of them are below is the noise
_LOOK_EVERY = 8
_QUIET = 0.1  # probability
_CLOSE_WINDOWS = 10  # 320 ms


class VoiceGate:
    """Told each window of one call, in order."""

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=_NOISE_WINDOWS)
        self.noise_db = _FLOOR_DB  # of the line, not below that
        self._windows = 0
        self._loud = False
        self._quiet_windows = 0
        self.is_open = False

    def hears(self, level_db: float) -> bool:
        """Take the level of the next window (dBFS); whether it has to be scored."""
        level_db = max(level_db, _FLOOR_DB)
        self._loud = level_db > self.noise_db + _MARGIN_DB
        self._levels.append(level_db)
        self._windows += 1
        if self._windows % _LOOK_EVERY == 0:
            self.noise_db = sorted(self._levels)[int(len(self._levels) * _NOISE_SHARE)]
        if self._loud and not self.is_open:
            self.is_open = True
            self._quiet_windows = 0
        return self.is_open

    def scored(self, probability: float, *, speaking: bool) -> None:
        """Take what the model said of it; `speaking`: the voice has started and not yet stopped."""
        if self._loud or speaking or probability >= _QUIET:
            self._quiet_windows = 0
            return
        self._quiet_windows += 1
        self.is_open = self._quiet_windows < _CLOSE_WINDOWS
