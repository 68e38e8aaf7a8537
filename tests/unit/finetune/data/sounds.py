"""Sound that is like speech to a level meter: bursts like syllables over a little noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from finetune.data.audio import RATE_HZ, Samples


def noise(seconds: float, level_dbfs: float, *, seed: int = 0, rate: int = RATE_HZ) -> Samples:
    drawn = np.random.default_rng(seed).standard_normal(round(seconds * rate))
    return (drawn * 10 ** (level_dbfs / 20)).astype(np.float32)


def speech(seconds: float, *, seed: int = 0, level_dbfs: float = -20.0, rate: int = RATE_HZ) -> Samples:
    """Syllables of 180 ms with dips of 40 ms between, from the first sample to the last."""
    sound = noise(seconds, level_dbfs, seed=seed, rate=rate)
    phase = np.arange(len(sound)) % round(0.22 * rate)
    return (sound * np.where(phase < round(0.18 * rate), 1.0, 0.05)).astype(np.float32)


def recording(
    seconds: float, *, lead: float = 0.5, tail: float = 0.7, seed: int = 0, snr_db: float = 40.0, rate: int = RATE_HZ
) -> Samples:
    """Speech between stretches of the room's noise."""
    room = noise(lead + seconds + tail, -20.0 - snr_db, seed=seed + 1, rate=rate)
    start = round(lead * rate)
    said = speech(seconds, seed=seed, rate=rate)
    room[start : start + len(said)] += said
    return room


def write(path: Path, samples: Samples, *, rate: int = RATE_HZ) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path
