"""ITU-T G.711 A-law and mu-law, both ways by table; the arithmetic is that of the reference code (ITU-T G.191)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8_000


@dataclass(frozen=True, slots=True, eq=False)
class G711:
    """One companding law; a byte is a sample. `silence` is the code of zero."""

    expanded: NDArray[np.int16]  # (256,), by code
    compressed: NDArray[np.uint8]  # (65536,), by sample as unsigned
    silence: int

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Give one 8 kHz sample for each byte."""
        return self.expanded[np.frombuffer(payload, np.uint8)]

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Give one byte for each 8 kHz sample."""
        return self.compressed[samples.view(np.uint16)].tobytes()


def _magnitude_exponent(magnitude: NDArray[np.int32], first: int) -> NDArray[np.int32]:
    """Count the doublings of `first` that the magnitude has reached."""
    exponent = np.zeros_like(magnitude)
    for doubling in range(8):
        exponent += magnitude >= first << doubling
    return exponent


def _mu_law_compress(sample: NDArray[np.int32]) -> NDArray[np.int32]:
    magnitude = np.minimum((np.where(sample < 0, ~sample, sample) >> 2) + 33, 0x1FFF)
    segment = 1 + _magnitude_exponent(magnitude, 64)
    code = (8 - segment) << 4 | 15 - (magnitude >> segment & 15)
    return np.where(sample >= 0, code | 0x80, code)


def _mu_law_expand(code: NDArray[np.int32]) -> NDArray[np.int32]:
    exponent = ~code >> 4 & 7
    step = 8 << exponent
    magnitude = (128 << exponent) + step * (~code & 15) + (step >> 1) - 132
    return np.where(code >= 0x80, magnitude, -magnitude)


def _a_law_compress(sample: NDArray[np.int32]) -> NDArray[np.int32]:
    magnitude = np.where(sample < 0, ~sample, sample) >> 4
    exponent = _magnitude_exponent(magnitude, 16)
    mantissa = (magnitude >> np.maximum(exponent - 1, 0)) - np.where(exponent > 0, 16, 0)
    code = exponent << 4 | mantissa
    return np.where(sample >= 0, code | 0x80, code) ^ 0x55


def _a_law_expand(code: NDArray[np.int32]) -> NDArray[np.int32]:
    bits = (code ^ 0x55) & 0x7F
    exponent = bits >> 4
    mantissa = (bits & 15) + np.where(exponent > 0, 16, 0)
    magnitude = ((mantissa << 4) + 8) << np.maximum(exponent - 1, 0)
    return np.where(code >= 0x80, magnitude, -magnitude)


_Law = Callable[[NDArray[np.int32]], NDArray[np.int32]]


def _tables(compress: _Law, expand: _Law) -> G711:
    samples = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    compressed = compress(samples).astype(np.uint8)
    return G711(expand(np.arange(256, dtype=np.int32)).astype(np.int16), compressed, silence=int(compressed[0]))


MU_LAW = _tables(_mu_law_compress, _mu_law_expand)  # RTP payload type 0, PCMU
A_LAW = _tables(_a_law_compress, _a_law_expand)  # RTP payload type 8, PCMA
