"""`VoiceActivity`: from speech probabilities to "started" and "stopped", with hysteresis.

The detector (Silero) scores windows of 32 ms. One window above the threshold is a click; the voice
has *started* after `start_ms` of it and has *stopped* after `stop_ms` without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class VoiceStarted:
    """Speech began; `began_at_ms` is media time of its first window."""

    began_at_ms: int


@dataclass(frozen=True, slots=True)
class VoiceStopped:
    """Speech ended; `ended_at_ms` is media time of the end of its last window."""

    ended_at_ms: int


VoiceEvent: TypeAlias = VoiceStarted | VoiceStopped


class VoiceActivity:
    """Told one probability a window, in media time."""

    def __init__(self, *, threshold: float, release: float, start_ms: int, stop_ms: int) -> None:
        self._threshold = threshold
        self.release = release  # lower than the threshold, so that a soft vowel does not end speech
        self._start_ms = start_ms
        self._stop_ms = stop_ms
        self._speaking = False
        self._began_at_ms: int | None = None
        self._voiced_ms = 0
        self._last_voiced_end_ms = 0

    @property
    def speaking(self) -> bool:
        """Whether speech has started and not yet stopped."""
        return self._speaking

    def end(self) -> None:
        """Take the voice for stopped, without an event: somebody else knows. The next one has to start anew."""
        self._speaking = False

    def feed(self, probability: float, *, at_ms: int, window_ms: int) -> VoiceEvent | None:
        """Score one window that begins at media time `at_ms`."""
        end_ms = at_ms + window_ms
        if probability >= (self.release if self._speaking else self._threshold):
            return self._voiced(at_ms, end_ms)
        return self._unvoiced(end_ms)

    def _voiced(self, at_ms: int, end_ms: int) -> VoiceEvent | None:
        self._last_voiced_end_ms = end_ms
        if self._speaking:
            return None
        if self._began_at_ms is None:
            self._began_at_ms = at_ms
        self._voiced_ms += end_ms - at_ms
        if self._voiced_ms < self._start_ms:
            return None
        began, self._began_at_ms, self._voiced_ms = self._began_at_ms, None, 0
        self._speaking = True
        return VoiceStarted(began)

    def _unvoiced(self, end_ms: int) -> VoiceEvent | None:
        silent_ms = end_ms - self._last_voiced_end_ms
        if not self._speaking:
            if self._began_at_ms is not None and silent_ms >= self._start_ms:
                self._began_at_ms, self._voiced_ms = None, 0  # it was a click
            return None
        if silent_ms < self._stop_ms:
            return None
        self._speaking = False
        return VoiceStopped(self._last_voiced_end_ms)
