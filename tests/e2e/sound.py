"""WAV files as numbers: where there is sound, how much, and in which pitch."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_WINDOW_S = 0.02


@dataclass(frozen=True)
class Stretch:
    """A stretch of sound, in seconds from the start of the file."""

    begin: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.begin


def read_wav(path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples of the first channel in -1..1 and their rate; a header without a length is read to the file's end."""
    data = path.read_bytes()
    with wave.open(str(path), "rb") as file:
        rate, channels = file.getframerate(), file.getnchannels()
    start = data.index(b"data") + 8
    samples = np.frombuffer(data[start : start + (len(data) - start) // 2 * 2], dtype="<i2")
    return samples[::channels].astype(np.float32) / 32768.0, rate


def write_wav(path: Path, samples: NDArray[np.float32], rate: int, *, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.repeat(np.clip(samples, -1, 1), channels) * 32767).astype("<i2").tobytes())


def stretches(samples: NDArray[np.float32], rate: int, *, level: float = 0.01, pause_s: float = 0.5) -> list[Stretch]:
    """Find stretches louder than `level` (RMS), joined over pauses shorter than `pause_s`."""
    size = int(rate * _WINDOW_S)
    windows = samples[: len(samples) // size * size].reshape(-1, size)
    loud = np.sqrt((windows**2).mean(axis=1)) > level
    found: list[Stretch] = []
    for index in np.flatnonzero(loud):
        begin, end = index * _WINDOW_S, (index + 1) * _WINDOW_S
        if found and begin - found[-1].end < pause_s:
            found[-1] = Stretch(found[-1].begin, end)
        else:
            found.append(Stretch(begin, end))
    return found
