"""A telephone channel for speech at 16 kHz: 300-3400 Hz, 8 kHz, G.711 µ-law, and back."""

from __future__ import annotations

import numpy as np
import scipy.signal
import soxr
from numpy.typing import NDArray

_MU = 255


def telephone(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the far end hears; the same length within a few samples."""
    narrow = soxr.resample(samples, 16_000, 8_000, quality="HQ")
    band = scipy.signal.butter(4, [300, 3400], btype="band", fs=8_000, output="sos")
    limited = np.clip(scipy.signal.sosfilt(band, narrow), -1, 1)
    coded = np.round(np.sign(limited) * np.log1p(_MU * np.abs(limited)) / np.log1p(_MU) * 127) / 127
    decoded = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(_MU)) / _MU
    return soxr.resample(decoded, 8_000, 16_000, quality="HQ").astype(np.float32)
