"""`LeadingSilence`: takes away the silence that a voice begins with, so that the first sound comes early."""

from __future__ import annotations

import numpy as np

# espeak-ng's silence is exact zeros and a fading click; speech rises above this within a millisecond.
SILENCE_PEAK = 200


class LeadingSilence:
    """Passes PCM16 on from `keep_ms` before the first sound; nothing but silence gives nothing."""

    def __init__(self, *, sample_rate_hz: int, keep_ms: int) -> None:
        self._keep_bytes = sample_rate_hz * keep_ms // 1000 * 2
        self._held: bytes | None = b""  # the end of the silence so far; None: sound has begun

    def feed(self, pcm: bytes) -> bytes:
        """Take whole samples; gives what is to be heard."""
        if self._held is None:
            return pcm
        held = self._held + pcm
        loud = np.flatnonzero(np.abs(np.frombuffer(held, "<i2").astype(np.int32)) > SILENCE_PEAK)
        if not len(loud):
            self._held = held[-self._keep_bytes :] if self._keep_bytes else b""
            return b""
        self._held = None
        return held[max(0, int(loud[0]) * 2 - self._keep_bytes) :]
