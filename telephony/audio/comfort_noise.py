"""Comfort noise (RFC 3389): the noise that a payload describes, and the payload that describes a quiet line."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.signal
from numpy.typing import NDArray

QUIET_LINE: Final = bytes([70])  # -70 dBov, white: below what a telephone line hisses by itself
_FULL_SCALE: Final = 32_768 / np.sqrt(2)  # 0 dBov: the RMS of a full-scale sine (appendix of RFC 3389)
_MAX_ORDER: Final = 32
_SEED: Final = 3389  # noise need not surprise anybody


class ComfortNoise:
    """Noise of one stream: `describe` takes a payload, `make` goes on from sample to sample."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(_SEED)
        self._level = 0.0
        self._poles = np.ones(1)
        self._state = np.zeros(0)

    def describe(self, payload: bytes) -> None:
        """Take the level and, where there are any, the reflection coefficients of the spectrum (section 3)."""
        level = payload[0] & 0x7F if payload else QUIET_LINE[0]
        self._level = _FULL_SCALE * 10 ** (-level / 20)
        reflections = [(byte - 127) / 128 for byte in payload[1 : 1 + _MAX_ORDER]]
        poles = _poles_of(reflections)
        # What is fed in, so that what comes out has the level that was told.
        self._level *= float(np.sqrt(np.prod([1 - k * k for k in reflections])))
        if len(poles) != len(self._poles):
            self._state = np.zeros(len(poles) - 1)
        self._poles = poles

    def make(self, count: int) -> NDArray[np.int16]:
        """Give the next `count` samples."""
        noise = self._random.standard_normal(count) * self._level
        if len(self._poles) > 1:
            shaped, self._state = scipy.signal.lfilter([1.0], self._poles, noise, zi=self._state)
            noise = np.asarray(shaped)
        return np.clip(np.rint(noise), -32_768, 32_767).astype(np.int16)


def _poles_of(reflections: list[float]) -> NDArray[np.float64]:
    """Turn reflection coefficients into those of the all-pole filter, by the step-up recursion."""
    poles = np.ones(1)
    for k in reflections:
        longer = np.append(poles, 0.0)
        poles = longer + k * longer[::-1]
    return poles
