"""Loudness after ITU-R BS.1770-4, and levelling to it."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.signal import sosfilt

from finetune.data.audio import RATE_HZ, Samples

_BLOCK, _HOP = int(0.4 * RATE_HZ), int(0.1 * RATE_HZ)


def loudness_lufs(samples: Samples) -> float:
    """Integrated loudness: blocks of 400 ms, those under -70 LUFS and 10 LU under the rest left out.

    What is shorter than a block is one block.
    """
    weighted = np.asarray(sosfilt(_k_weighting(), samples.astype(np.float64)))
    starts = range(0, max(len(weighted) - _BLOCK, 0) + 1, _HOP)
    power = np.array([np.mean(weighted[start : start + _BLOCK] ** 2) for start in starts])
    heard = power[_lufs(power) > -70.0]
    if not len(heard):
        return -math.inf
    kept = heard[_lufs(heard) > _lufs(heard.mean()) - 10.0]
    return float(_lufs(kept.mean()))


def levelled(samples: Samples, *, lufs: float, peak_dbfs: float) -> Samples:
    """Bring to the loudness, or to the peak if that is reached first."""
    gain = 10.0 ** ((lufs - loudness_lufs(samples)) / 20.0)
    ceiling = 10.0 ** (peak_dbfs / 20.0) / max(float(np.abs(samples).max()), 1e-9)
    return (samples * min(gain, ceiling)).astype(np.float32)


def _lufs(power: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return -0.691 + 10.0 * np.log10(np.maximum(power, 1e-12))


@cache
def _k_weighting() -> npt.NDArray[np.float64]:
    """Make the two filters of Annex 1, for 24 kHz, from their analogue forms."""
    shelf = _shelf(gain_db=3.99984385397, q=0.7071752369554193, centre_hz=1681.9744509555319)
    return np.array([shelf, _high_pass(q=0.5003270373238773, centre_hz=38.13547087613982)])


def _shelf(*, gain_db: float, q: float, centre_hz: float) -> list[float]:
    k = math.tan(math.pi * centre_hz / RATE_HZ)
    high = 10.0 ** (gain_db / 20.0)
    band = high**0.499666774155
    a0 = 1.0 + k / q + k * k
    b = [(high + band * k / q + k * k) / a0, 2.0 * (k * k - high) / a0, (high - band * k / q + k * k) / a0]
    return [*b, 1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0]


def _high_pass(*, q: float, centre_hz: float) -> list[float]:
    k = math.tan(math.pi * centre_hz / RATE_HZ)
    a0 = 1.0 + k / q + k * k
    return [1.0, -2.0, 1.0, 1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / q + k * k) / a0]
