"""What resampling a 20 ms frame costs and how late it comes, beside soxr VHQ (Pipecat's default).

python tests/bench/bench_resample.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from telephony.audio.resample import Resampler

RATIOS = [
    (24_000, 8_000),
    (8_000, 16_000),
    (8_000, 24_000),
    (16_000, 24_000),
    (24_000, 48_000),
    (48_000, 16_000),
]
FRAMES = 1_000

Convert = Callable[[NDArray[np.int16]], NDArray[np.int16]]


def measure(in_hz: int, out_hz: int, convert: Convert) -> str:
    """Give the figures of one resampler."""
    noise = np.random.default_rng(1).integers(-8_000, 8_000, (FRAMES, in_hz // 50)).astype(np.int16)
    began = time.process_time()
    lengths = [len(convert(frame)) for frame in noise]
    cost_us = 1e6 * (time.process_time() - began) / FRAMES
    first_ms = 20 * (1 + next(n for n, length in enumerate(lengths) if length))
    held = np.arange(1, FRAMES + 1) * out_hz // 50 - np.cumsum(lengths)
    held_ms = 1000 * held[FRAMES // 2 :] / out_hz
    sizes = f"{min(lengths[FRAMES // 2 :])}-{max(lengths[FRAMES // 2 :])}"
    return f"{cost_us:8.1f} {first_ms:9d} {held_ms.mean():9.1f} {held_ms.max():8.1f} {sizes:>9s}"


def main() -> None:
    """Print the table."""
    print("first: ms of audio fed when the first comes out; held: ms of audio inside, apart from the filter's delay")
    print("   ratio                       us/frame     first held mean held max out/frame")
    for in_hz, out_hz in RATIOS:
        ours = Resampler(in_hz, out_hz)
        theirs = soxr.ResampleStream(in_hz, out_hz, 1, dtype="int16", quality="VHQ")
        name = f"{in_hz // 1000}->{out_hz // 1000} kHz"
        print(f"{name:>11s}  {f'ours, +{ours.delay_ms:.1f} ms':17s}{measure(in_hz, out_hz, ours.feed)}")
        print(f"{name:>11s}  {'soxr VHQ':17s}{measure(in_hz, out_hz, theirs.resample_chunk)}")


if __name__ == "__main__":
    main()
