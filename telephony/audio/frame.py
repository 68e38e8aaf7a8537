"""A frame is 20 ms of PCM16, mono, little-endian; inside the package its samples are an int16 array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telephony.errors import AudioFormatError
from telephony.leg import OUTPUT_FRAME_BYTES

QUIET_PEAK = 400  # -38 dBFS: below soft speech, above the noise of a telephone line


def samples_of(pcm: bytes) -> NDArray[np.int16]:
    """View PCM16 as samples (read-only)."""
    return np.frombuffer(pcm, "<i2")


def pcm_of(samples: NDArray[np.int16]) -> bytes:
    """Write samples as PCM16."""
    return samples.astype("<i2", copy=False).tobytes()


def frames_of(pcm: bytes) -> list[bytes]:
    """Cut what a bot plays into frames; raises `AudioFormatError` where it is no whole number of them."""
    if not pcm or len(pcm) % OUTPUT_FRAME_BYTES:
        raise AudioFormatError(f"{len(pcm)} bytes are no frames; 20 ms at 24 kHz are {OUTPUT_FRAME_BYTES}")
    return [pcm[start : start + OUTPUT_FRAME_BYTES] for start in range(0, len(pcm), OUTPUT_FRAME_BYTES)]


def is_quiet(samples: NDArray[np.int16]) -> bool:
    """Say whether a cut in these samples goes unheard: no peak of speech in them."""
    return not len(samples) or (int(samples.max()) < QUIET_PEAK and int(samples.min()) > -QUIET_PEAK)
