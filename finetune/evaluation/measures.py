"""What can be said of spoken sentences without ears: did they end, how long, how silent, did they get stuck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.data.audio import RATE_HZ, Samples
from finetune.data.speech import levels_db

_BLOCK = RATE_HZ // 100


@dataclass(frozen=True, slots=True)
class Silence:
    """Seconds without sound: before the first, after the last, the longest between, and all of it."""

    lead_s: float
    tail_s: float
    inner_s: float
    total_s: float


def silence(samples: Samples) -> Silence:
    """Find blocks of 10 ms that are 40 dB under the loud ones (95th percentile), or under -60 dBFS."""
    levels = levels_db(samples, _BLOCK)
    length = len(levels) * _BLOCK / RATE_HZ
    if not len(levels):
        return Silence(0.0, 0.0, 0.0, 0.0)
    sound = np.flatnonzero(levels > max(float(np.percentile(levels, 95)) - 40.0, -60.0))
    if not len(sound):
        return Silence(length, length, 0.0, length)
    gaps = np.diff(sound) - 1
    return Silence(
        lead_s=int(sound[0]) / 100,
        tail_s=(len(levels) - 1 - int(sound[-1])) / 100,
        inner_s=int(gaps.max(initial=0)) / 100,
        total_s=(len(levels) - len(sound)) / 100,
    )


def longest_run(codes: npt.NDArray[np.int16]) -> int:
    """How many frames in a row have the same code in codebook 0: a voice that is stuck hums."""
    first = codes[:, 0] if len(codes) else codes.reshape(0)
    edges = np.flatnonzero(np.diff(first)) + 1
    return int(np.diff(np.concatenate(([0], edges, [len(first)]))).max(initial=0))


@dataclass(frozen=True, slots=True)
class Duration:
    """How long a text takes: a line over its letters, as the training clips have it."""

    seconds: float
    seconds_a_letter: float

    def expected_s(self, letters: int) -> float:
        return self.seconds + self.seconds_a_letter * letters


def fit_duration(letters: Sequence[int], seconds: Sequence[float]) -> Duration:
    """Fit the line; with clips of one length only, a letter takes its share and nothing is left over."""
    if len(set(letters)) < 3:
        return Duration(0.0, sum(seconds) / max(sum(letters), 1))
    slope, offset = np.polyfit(letters, seconds, 1)
    if slope <= 0.0:
        return Duration(0.0, sum(seconds) / max(sum(letters), 1))
    return Duration(float(offset), float(slope))
