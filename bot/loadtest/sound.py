"""Where there is sound in a recording: levels of 10 ms and stretches of speech. Times are media time in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
WINDOW_MS = 10
WINDOW_S = WINDOW_MS / 1000
_WINDOW = RATE_HZ * WINDOW_MS // 1000
_FLOOR_DB = -96.0
LOUD_DB = -42.0  # over comfort noise, G.711's idle steps and a codec's pre-echo, under any vowel

Samples = NDArray[np.int16]
Levels = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of sound."""

    begin_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.end_s - self.begin_s


def levels(samples: Samples) -> Levels:
    """Give dBFS (RMS) of each whole window of 10 ms; -96 is digital silence."""
    whole = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW).astype(np.float64)
    power = np.mean(whole**2, axis=1) / 32768.0**2 if len(whole) else np.zeros(0)
    return np.maximum(10 * np.log10(np.maximum(power, 1e-12)), _FLOOR_DB)


def level(frame: Samples) -> float:
    """Give dBFS (RMS) of one frame."""
    power = float(np.mean(frame.astype(np.float64) ** 2)) / 32768.0**2 if len(frame) else 0.0
    return 10 * float(np.log10(power)) if power > 1e-10 else _FLOOR_DB


def stretches(at: Levels, *, join_s: float = 0.2, least_s: float = 0.03) -> tuple[Stretch, ...]:
    """Find what is louder than `LOUD_DB`, over pauses shorter than `join_s`; blips under `least_s` are no speech."""
    loud = np.concatenate(([False], at > LOUD_DB, [False]))
    edges = np.flatnonzero(np.diff(loud.astype(np.int8)))
    found: list[Stretch] = []
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        begin_s, end_s = begin * WINDOW_S, end * WINDOW_S
        if found and begin_s - found[-1].end_s < join_s - 1e-9:
            found[-1] = Stretch(found[-1].begin_s, end_s)
        else:
            found.append(Stretch(begin_s, end_s))
    return tuple(stretch for stretch in found if stretch.length_s >= least_s - 1e-9)
