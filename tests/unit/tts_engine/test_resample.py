from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_engine.resample import StreamResampler


def through(resampler: StreamResampler, *pieces: bytes) -> np.ndarray:
    out = b"".join(resampler.feed(piece) for piece in pieces) + resampler.flush()
    return np.frombuffer(out, "<i2").astype(np.int32)


def sine(rate_hz: int, hz: float, seconds: float, peak: float = 10_000) -> bytes:
    return (
        np.rint(peak * np.sin(2 * np.pi * hz / rate_hz * np.arange(round(rate_hz * seconds)))).astype("<i2").tobytes()
    )


@pytest.mark.parametrize(("from_hz", "to_hz"), [(22_050, 24_000), (24_000, 8_000), (24_000, 16_000)])
def test_a_tone_stays_the_tone_that_it_was(from_hz: int, to_hz: int) -> None:
    out = through(StreamResampler(from_hz, to_hz), sine(from_hz, 440, 0.5))

    assert len(out) == to_hz // 2
    expected = np.frombuffer(sine(to_hz, 440, 0.5), "<i2").astype(np.int32)
    middle = slice(to_hz // 20, -to_hz // 20)
    assert np.abs(out[middle] - expected[middle]).max() <= 20


def test_what_a_telephone_cannot_carry_is_not_folded_into_the_band() -> None:
    out = through(StreamResampler(24_000, 8_000), sine(24_000, 6_000, 0.5))

    assert np.abs(out[400:-400]).max() <= 10  # 60 dB under


def test_the_same_rate_passes_untouched() -> None:
    pcm = sine(24_000, 440, 0.01)

    assert StreamResampler(24_000, 24_000).feed(pcm) == pcm


def test_full_scale_is_clipped_not_wrapped() -> None:
    square = np.where(np.arange(2205) % 100 < 50, 32_767, -32_768).astype("<i2").tobytes()

    out = through(StreamResampler(22_050, 24_000), square)

    assert np.abs(np.diff(np.sign(out[100:-100]))).sum() / 2 == pytest.approx(2 * 2205 / 100, abs=6)


def test_nothing_in_is_nothing_out() -> None:
    assert len(through(StreamResampler(22_050, 24_000))) == 0


@given(cuts=st.lists(st.integers(0, 2_000), max_size=10), seed=st.integers(0, 2**32 - 1))
def test_cut_anywhere_equals_whole(cuts: list[int], seed: int) -> None:
    noise = np.random.default_rng(seed).integers(-20_000, 20_000, 2_000, dtype=np.int16).astype("<i2").tobytes()
    bounds = sorted({0, len(noise), *(cut * 2 for cut in cuts)})
    pieces = [noise[a:b] for a, b in pairwise(bounds)]

    whole = through(StreamResampler(22_050, 24_000), noise)

    assert np.array_equal(through(StreamResampler(22_050, 24_000), *pieces), whole)
