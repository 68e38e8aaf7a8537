"""Silence cut to measure: a little before the first word and after the last, long pauses shortened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetune.data.audio import RATE_HZ, Samples
from finetune.data.settings import TrimSettings
from finetune.data.speech import Span, levels_db

_FADE = RATE_HZ // 200


def trimmed(samples: Samples, spans: Sequence[Span], settings: TrimSettings) -> Samples:
    """Keep `lead_ms` before the first span and `tail_ms` after the last, and at most `pause_max_ms` between two.

    Where the recording has less than that, zeros take its place, so that every clip begins and ends alike.
    """
    lead, tail, pause = (ms * RATE_HZ // 1000 for ms in (settings.lead_ms, settings.tail_ms, settings.pause_max_ms))
    first, last = spans[0][0], spans[-1][1]
    pieces = [_edge(samples, first - lead, first)]
    for (start, end), following in zip(spans, [*spans[1:], None], strict=True):
        pieces.append(samples[start:end])
        if following is not None:
            pieces.append(_pause(samples[end : following[0]], pause))
    pieces.append(_edge(samples, last, last + tail))
    out = np.concatenate(pieces)
    ramp = np.linspace(0.0, 1.0, _FADE, dtype=np.float32)
    out[:_FADE] *= ramp
    out[-_FADE:] *= ramp[::-1]
    return out


def snr_db(samples: Samples, spans: Sequence[Span]) -> float | None:
    """Level of the speech over that of the rest; None if there is too little rest to tell (50 ms)."""
    block = RATE_HZ // 100
    levels = levels_db(samples, block)
    inside = np.zeros(len(levels), np.bool_)
    for first, last in spans:
        inside[max(first // block - 2, 0) : last // block + 2] = True
    rest = levels[~inside]
    # digital silence says nothing of the room; spliced recordings have it beside real noise
    rest = rest[rest > -100.0]
    if len(rest) < 5 or not inside.any():
        return None
    return float(_mean_db(levels[inside]) - _mean_db(rest))


def _mean_db(levels: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return float(10.0 * np.log10((10.0 ** (levels / 10.0)).mean()))


def _edge(samples: Samples, first: int, last: int) -> Samples:
    inside = samples[max(first, 0) : max(min(last, len(samples)), 0)]
    return np.pad(inside, (max(-first, 0), max(last - len(samples), 0)))


def _pause(samples: Samples, longest: int) -> Samples:
    """Take the middle out of a pause that is too long, and fade over the seam."""
    if len(samples) <= longest:
        return samples
    head, tail = samples[: longest // 2].copy(), samples[-(longest - longest // 2) :].copy()
    ramp = np.linspace(1.0, 0.0, _FADE, dtype=np.float32)
    head[-_FADE:] *= ramp
    tail[:_FADE] *= ramp[::-1]
    return np.concatenate((head, tail))
