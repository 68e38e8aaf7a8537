"""Streaming sample-rate conversion between 8, 16, 24 and 48 kHz: linear phase, no bursts.

A polyphase FIR filter held as a band matrix: 2 ms of input times the matrix is 2 ms of output, so a 20 ms frame is
one small product of ten rows, and the matrix stays in the cache. The coefficients are multiples of 2**-30; with
16-bit samples every partial sum fits the 53 bits of a double, so the arithmetic is exact and a stream gives the same
samples however it is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

RATES_HZ = (8_000, 16_000, 24_000, 48_000)

# Of the lower of the two rates: 48 taps are 6 ms at 8 kHz, so 3 ms of delay. With this window and cut-off the
# response is -0.02 dB at 3.4 kHz and -91 dB at 4.3 kHz.
_TAPS = 48
_KAISER_BETA = 9.0
_CUTOFF = 0.95  # of the lower Nyquist frequency
_BLOCKS_A_SECOND = 500
_AT_ONCE = 8  # streams: their blocks stay in the cache between the copy and the product
_COEFFICIENT_STEP = 2.0**-30


@dataclass(frozen=True, slots=True)
class Filter:
    """What a pair of rates asks for; shared by all streams between them."""

    matrix: NDArray[np.float64]  # (history + block_in, block_out)
    step: int  # inputs are taken in multiples of it
    yields: int  # outputs for each `step`
    history: int
    block_in: int
    delay_in: int
    silence: NDArray[np.float64]  # (history,), what came before the first sample


_NOTHING: NDArray[np.int16] = np.zeros(0, np.int16)


@lru_cache(maxsize=16)
def _design(in_hz: int, out_hz: int) -> Filter:
    common = gcd(in_hz, out_hz)
    up, down = out_hz // common, in_hz // common
    half = _TAPS // 2 * (in_hz * up // min(in_hz, out_hz))
    position = np.arange(-half, half + 1)
    bandwidth = _CUTOFF * min(in_hz, out_hz) / (in_hz * up)
    taps = np.sinc(position * bandwidth) * np.kaiser(2 * half + 1, _KAISER_BETA)
    taps = np.rint(taps * (up / taps.sum()) / _COEFFICIENT_STEP) * _COEFFICIENT_STEP
    history = 2 * half // up
    block_in = in_hz // _BLOCKS_A_SECOND
    block_out = block_in * up // down
    matrix = np.zeros((history + block_in, block_out))
    for m in range(block_out):
        for i in range(-history, block_in):
            tap = m * down - i * up
            if 0 <= tap <= 2 * half:
                matrix[i + history, m] = taps[tap]
    return Filter(matrix, down, up, history, block_in, half // up, silence=np.zeros(history))


class Resampler:
    """Converts one stream of PCM16 mono from `in_hz` to `out_hz` (different rates out of `RATES_HZ`).

    Each `feed` gives exactly `out_hz / in_hz` samples for each sample given; where that is not whole (24 to 8 kHz and
    a cut that is no multiple of 3), the odd ones wait for the next. The output is late by `delay_ms`, never more.
    `history` is what the filter still needs of the samples before.
    """

    def __init__(self, in_hz: int, out_hz: int) -> None:
        if in_hz not in RATES_HZ or out_hz not in RATES_HZ or in_hz == out_hz:
            raise ValueError(f"cannot convert {in_hz} Hz to {out_hz} Hz: give two different rates of {RATES_HZ}")
        self.design = _design(in_hz, out_hz)
        self.delay_ms = 1000 * self.design.delay_in / in_hz
        self.reset()

    def reset(self) -> None:
        """Forget what was fed, as for a new stream."""
        self.history = self.design.silence
        self._waiting = _NOTHING

    def feed(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Convert the next samples; values beyond 16 bits saturate."""
        if len(self._waiting):
            samples = np.concatenate((self._waiting, samples))
        odd = len(samples) % self.design.step
        count = len(samples) - odd
        self._waiting = samples[count:]
        if not count:
            return _NOTHING
        (result,) = _convert((self,), samples[np.newaxis, :count])
        return result


def feed_together(resamplers: Sequence[Resampler], samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Feed (streams, samples) to as many resamplers of the same two rates; row n of the result is what n gives.

    It is to be a multiple of the design's `step`, as any whole number of ms is. Each stream gives what its own `feed`
    would have given, for the price of one product of matrices: 40 frames of 20 ms cost 2 us each from 8 to 16 kHz,
    against 10 one by one.
    """
    assert samples.shape[1] % resamplers[0].design.step == 0, "odd samples"
    if not samples.size:
        return np.zeros((len(resamplers), 0), np.int16)
    return _convert(resamplers, samples)


def _convert(resamplers: Sequence[Resampler], samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Convert a multiple of `step` samples of each stream, and keep what its filter needs of them."""
    design = resamplers[0].design
    streams, count = samples.shape
    blocks = -(-count // design.block_in)
    signal = np.empty((streams, design.history + blocks * design.block_in))
    past = np.concatenate([resampler.history for resampler in resamplers])
    signal[:, : design.history] = past.reshape(streams, design.history)
    signal[:, design.history : design.history + count] = samples
    signal[:, design.history + count :] = 0
    for resampler, history in zip(resamplers, signal[:, count : count + design.history], strict=True):
        resampler.history = history.copy()  # a stream that pauses is not to hold on to all the others
    width, step = design.history + design.block_in, design.block_in * signal.itemsize
    result = np.empty((streams, blocks, design.matrix.shape[1]))
    for first in range(0, streams, _AT_ONCE):
        part = signal[first : first + _AT_ONCE]
        rows = np.ndarray((len(part), blocks, width), np.float64, part, strides=(signal.strides[0], step, 8))
        # The rows overlap; copied, they go to BLAS.
        np.matmul(
            rows.reshape(-1, width), design.matrix, out=result[first : first + _AT_ONCE].reshape(-1, result.shape[2])
        )
    result = result.reshape(streams, -1)[:, : count // design.step * design.yields]
    np.rint(result, out=result)
    np.minimum(result, 32767, out=result)
    np.maximum(result, -32768, out=result)
    return result.astype(np.int16)
