"""Mel spectra as librosa makes them (Slaney's scale and norm), without librosa."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Spectrum = npt.NDArray[np.float64]


def mel_spectrum(samples: npt.NDArray[np.float32], *, rate_hz: int, window: int, hop: int, bands: int) -> Spectrum:
    """Power [frames, bands] of windows centred on each hop."""
    padded = np.pad(samples.astype(np.float64), window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    power = np.abs(np.fft.rfft(frames * hann, axis=1)) ** 2
    return power @ mel_filters(rate_hz, window, bands).T


@cache
def mel_filters(rate_hz: int, window: int, bands: int) -> Spectrum:
    """Triangles [bands, window // 2 + 1] of equal area."""
    bins = np.fft.rfftfreq(window, 1 / rate_hz)
    edges = _hz(np.linspace(_mel(0.0), _mel(rate_hz / 2), bands + 2))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.maximum(0.0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
    return triangles * (2.0 / (high - low))


_BREAK_HZ, _BREAK = 1000.0, 15.0
_STEP = np.log(6.4) / 27.0


def _mel(hz: float) -> float:
    """A line up to 1 kHz, a logarithm above (Slaney's Auditory Toolbox)."""
    return hz * 3 / 200 if hz < _BREAK_HZ else _BREAK + float(np.log(hz / _BREAK_HZ)) / _STEP


def _hz(mels: Spectrum) -> Spectrum:
    return np.where(mels < _BREAK, mels * 200 / 3, _BREAK_HZ * np.exp(_STEP * (mels - _BREAK)))
