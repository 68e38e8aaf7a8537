"""`StreamResampler`: PCM16 at one rate in, PCM16 at another out, piece by piece (soxr, high quality).

Works in float32: soxr's int16 path dithers, and its output then depends on how the input was cut.
"""

from __future__ import annotations

import numpy as np
import soxr

_FULL_SCALE = 32_768.0


class StreamResampler:
    """One stream. All that was fed has come out once `flush` was called."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._stream = (
            None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
        )

    def feed(self, pcm: bytes) -> bytes:
        """Take an even number of bytes; gives what is ready, maybe nothing yet."""
        return self._resampled(pcm, last=False)

    def flush(self) -> bytes:
        """Give what is left; call it once, at the end."""
        return self._resampled(b"", last=True)

    def _resampled(self, pcm: bytes, *, last: bool) -> bytes:
        if self._stream is None:
            return pcm
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / _FULL_SCALE
        out = self._stream.resample_chunk(samples, last=last) * _FULL_SCALE
        return np.clip(np.rint(out), -32_768, 32_767).astype("<i2").tobytes()
