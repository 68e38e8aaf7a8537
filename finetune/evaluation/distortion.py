"""Mel cepstral distortion: how far a sentence is from its recording, in dB, whatever the tempo.

Cepstra 1 to 13 of 80 mel bands, 10 ms apart, without the level (cepstrum 0); the shortest path by dynamic time
warping, and the mean over it of 10 / ln 10 * sqrt(2 * sum of squares) (Kubichek 1993). Figures depend on the bands and
the warping, so they compare checkpoints measured here, not with papers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.fft import dct

from finetune.data.audio import RATE_HZ, Samples
from finetune.evaluation.mel import mel_spectrum

_HOP, _WINDOW, _BANDS, _CEPSTRA = RATE_HZ // 100, 1024, 80, 13
_SCALE = 10.0 / np.log(10.0) * np.sqrt(2.0)


def mel_cepstral_distortion(said: Samples, recorded: Samples) -> float:
    """Distance in dB between two sounds at 24 kHz of one sentence."""
    left, right = _cepstra(said), _cepstra(recorded)
    squares = (left**2).sum(1)[:, None] + (right**2).sum(1)[None] - 2.0 * left @ right.T
    return float(_SCALE * _mean_over_path(np.sqrt(np.maximum(squares, 0.0))))


def _cepstra(samples: Samples) -> npt.NDArray[np.float64]:
    mels = mel_spectrum(samples, rate_hz=RATE_HZ, window=_WINDOW, hop=_HOP, bands=_BANDS)
    # of magnitudes, so half of the power's; 80 dB under the loudest is no sound that anyone hears
    log = 0.5 * np.log(np.maximum(mels, max(float(mels.max()) * 1e-8, 1e-12)))
    return np.asarray(dct(log, axis=1, norm="ortho"))[:, 1 : _CEPSTRA + 1] / np.sqrt(_BANDS / 2)


def _mean_over_path(costs: npt.NDArray[np.float64]) -> float:
    """Mean cost along the cheapest way from corner to corner by steps of one in either direction or both."""
    rows, columns = costs.shape
    best, steps = np.full(columns, np.inf), np.zeros(columns)
    for row in range(rows):
        above, above_steps = best.copy(), steps.copy()
        for column in range(columns):
            before = [(above[column], above_steps[column])]
            if column:
                before += [(above[column - 1], above_steps[column - 1]), (best[column - 1], steps[column - 1])]
            start = row == column == 0
            cost, length = (0.0, 0.0) if start else min(before)
            best[column], steps[column] = cost + costs[row, column], length + 1
    return best[-1] / steps[-1]
