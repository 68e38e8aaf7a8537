from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from telephony.audio.resample import Resampler, feed_together

RATIOS = [
    (24_000, 8_000),
    (8_000, 16_000),
    (8_000, 24_000),
    (24_000, 48_000),
    (48_000, 16_000),
    (16_000, 8_000),
    (48_000, 24_000),
    (24_000, 16_000),
    (16_000, 24_000),
]
NARROWBAND = [ratio for ratio in RATIOS if 8_000 in ratio]


def tone(frequency_hz: float, rate_hz: int, *, amplitude: float = 16_000, seconds: float = 1.0) -> NDArray[np.int16]:
    at_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.rint(amplitude * np.sin(2 * np.pi * frequency_hz * at_s)).astype(np.int16)


def level_db(signal: NDArray[np.int16]) -> float:
    middle = signal[len(signal) // 4 : -len(signal) // 8].astype(np.float64)
    return 20 * np.log10(max(np.sqrt(2 * np.mean(middle**2)) / 16_000, 1e-9))


def all_but_db(signal: NDArray[np.int16], frequency_hz: float, rate_hz: int) -> float:
    """Level of what is not the tone: images, aliases and rounding."""
    middle = signal[len(signal) // 4 : -len(signal) // 8].astype(np.float64)
    at_s = np.arange(len(middle)) / rate_hz
    basis = np.stack([np.cos(2 * np.pi * frequency_hz * at_s), np.sin(2 * np.pi * frequency_hz * at_s)], axis=1)
    fitted, *_ = np.linalg.lstsq(basis, middle, rcond=None)
    rest = middle - basis @ fitted
    return 20 * np.log10(max(np.sqrt(2 * np.mean(rest**2)) / 16_000, 1e-9))


@pytest.mark.parametrize(("in_hz", "out_hz"), RATIOS)
def test_every_20_ms_frame_in_is_one_20_ms_frame_out(in_hz: int, out_hz: int) -> None:
    resampler = Resampler(in_hz, out_hz)

    lengths = {len(resampler.feed(np.ones(in_hz // 50, np.int16))) for _ in range(20)}

    assert lengths == {out_hz // 50}


@pytest.mark.parametrize(("in_hz", "out_hz"), NARROWBAND)
@pytest.mark.parametrize("frequency_hz", [100, 300, 1000, 2000, 3000, 3400])
def test_speech_band_is_flat_within_a_tenth_of_a_decibel(in_hz: int, out_hz: int, frequency_hz: int) -> None:
    out = Resampler(in_hz, out_hz).feed(tone(frequency_hz, in_hz))

    assert abs(level_db(out)) < 0.1


@pytest.mark.parametrize(("in_hz", "out_hz"), [(24_000, 8_000), (16_000, 8_000)])
@pytest.mark.parametrize("frequency_hz", [4300, 4600, 5200, 6000, 7100, 7900])
def test_what_would_alias_is_gone(in_hz: int, out_hz: int, frequency_hz: int) -> None:
    assert level_db(Resampler(in_hz, out_hz).feed(tone(frequency_hz, in_hz))) < -80


@pytest.mark.parametrize(("in_hz", "out_hz"), [(8_000, 16_000), (8_000, 24_000)])
@pytest.mark.parametrize("frequency_hz", [300, 1000, 2000, 3000, 3400])
def test_no_image_is_heard_above_the_band(in_hz: int, out_hz: int, frequency_hz: int) -> None:
    out = Resampler(in_hz, out_hz).feed(tone(frequency_hz, in_hz))

    assert all_but_db(out, frequency_hz, out_hz) < -80


@pytest.mark.parametrize(("in_hz", "out_hz"), RATIOS)
def test_wide_ratios_keep_85_percent_of_the_lower_band(in_hz: int, out_hz: int) -> None:
    frequency_hz = 0.85 * min(in_hz, out_hz) / 2
    out = Resampler(in_hz, out_hz).feed(tone(frequency_hz, in_hz))

    assert abs(level_db(out)) < 0.1
    assert all_but_db(out, frequency_hz, out_hz) < -80


@pytest.mark.parametrize(("in_hz", "out_hz"), RATIOS)
def test_delay_is_what_it_says_and_under_4_ms(in_hz: int, out_hz: int) -> None:
    resampler = Resampler(in_hz, out_hz)
    click = np.zeros(in_hz // 10, np.int16)
    click[in_hz // 50] = 30_000

    peak_ms = 1000 * int(np.argmax(np.abs(resampler.feed(click).astype(np.int32)))) / out_hz - 20

    assert resampler.delay_ms < 4
    assert abs(peak_ms - resampler.delay_ms) <= 1000 / out_hz


@pytest.mark.parametrize(("in_hz", "out_hz"), RATIOS)
@given(cuts=st.lists(st.integers(0, 2_000), max_size=10), seed=st.integers(0, 2**32 - 1))
def test_cutting_the_stream_anywhere_changes_no_sample(in_hz: int, out_hz: int, cuts: list[int], seed: int) -> None:
    noise = np.random.default_rng(seed).integers(-32_768, 32_768, 1_999).astype(np.int16)
    whole, parts = Resampler(in_hz, out_hz), Resampler(in_hz, out_hz)

    expected = whole.feed(noise)
    heard = [parts.feed(piece) for piece in np.split(noise, sorted(min(cut, 1_999) for cut in cuts))]

    assert np.array_equal(np.concatenate(heard), expected)


def test_reset_forgets_the_stream_before() -> None:
    resampler = Resampler(24_000, 8_000)
    resampler.feed(tone(1000, 24_000)[:481])

    resampler.reset()

    assert not resampler.feed(np.zeros(480, np.int16)).any()


def test_overshoot_saturates_instead_of_wrapping() -> None:
    square = np.where(np.arange(24_000) // 20 % 2, 1, -1)

    loud = Resampler(24_000, 8_000).feed((square * 32_767).astype(np.int16))
    soft = Resampler(24_000, 8_000).feed((square * 8_000).astype(np.int16))

    assert loud.max() == 32_767
    assert loud.min() == -32_768
    assert np.array_equal(np.sign(loud[abs(soft) > 50]), np.sign(soft[abs(soft) > 50]))


def test_full_scale_is_kept() -> None:
    out = Resampler(8_000, 16_000).feed(np.full(8_000, -32_768, np.int16))

    assert set(out[200:]) == {-32_768}


def test_no_sound_in_gives_no_sound_out() -> None:
    assert len(Resampler(24_000, 8_000).feed(np.zeros(0, np.int16))) == 0


@pytest.mark.parametrize(("in_hz", "out_hz"), [(44_100, 8_000), (8_000, 11_025), (8_000, 8_000)])
def test_other_rates_are_refused_by_name(in_hz: int, out_hz: int) -> None:
    with pytest.raises(ValueError, match=f"cannot convert {in_hz} Hz to {out_hz} Hz"):
        Resampler(in_hz, out_hz)


@pytest.mark.parametrize(("in_hz", "out_hz"), RATIOS)
@given(st.lists(st.integers(0, 70), min_size=1, max_size=6))
def test_streams_fed_together_sound_as_each_alone_however_they_are_cut(
    in_hz: int, out_hz: int, cuts: list[int]
) -> None:
    streams = 11  # more than are multiplied at once
    together, alone = (
        [Resampler(in_hz, out_hz) for _ in range(streams)],
        [Resampler(in_hz, out_hz) for _ in range(streams)],
    )
    random = np.random.default_rng(sum(cuts))
    for cut in cuts:
        samples = random.integers(-32_768, 32_767, (streams, 6 * cut), np.int16, endpoint=True)
        rows = feed_together(together, samples)
        assert [row.tolist() for row in rows] == [
            each.feed(part).tolist() for each, part in zip(alone, samples, strict=True)
        ]
