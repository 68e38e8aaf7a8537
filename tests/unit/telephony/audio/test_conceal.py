from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from telephony.audio.conceal import Concealer, crossfade


def voice(rate_hz: int, *, pitch_hz: float = 125.0, seconds: float = 1.0) -> NDArray[np.int16]:
    at_s = np.arange(round(rate_hz * seconds)) / rate_hz
    sound = sum(4_000 / k * np.sin(2 * np.pi * k * pitch_hz * at_s + k) for k in range(1, 8))
    return np.rint(sound).astype(np.int16)


def rms(signal: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(signal.astype(np.float64) ** 2)))


def play(signal: NDArray[np.int16], rate_hz: int, *, lost: set[int]) -> NDArray[np.int16]:
    concealer, size = Concealer(rate_hz), rate_hz // 50
    frames = [signal[start : start + size] for start in range(0, len(signal), size)]
    return np.concatenate(
        [concealer.conceal(size) if n in lost else concealer.feed(frame) for n, frame in enumerate(frames)]
    )


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_good_frames_pass_unchanged(rate_hz: int) -> None:
    signal = voice(rate_hz)

    assert np.array_equal(play(signal, rate_hz, lost=set()), signal)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_first_10_ms_of_a_loss_go_on_with_the_voice(rate_hz: int) -> None:
    signal, size = voice(rate_hz), rate_hz // 50
    heard = play(signal, rate_hz, lost={20})

    first = slice(20 * size, 20 * size + size // 2)
    assert rms(heard[first] - signal[first]) < 0.05 * rms(signal[first])


@pytest.mark.parametrize("rate_hz", [8_000, 48_000])
@pytest.mark.parametrize("lost", [{20}, {20, 21}, {20, 21, 22, 23, 24}])
def test_neither_end_of_a_loss_clicks(rate_hz: int, lost: set[int]) -> None:
    signal = voice(rate_hz, pitch_hz=118.7)
    heard = play(signal, rate_hz, lost=lost)

    assert np.abs(np.diff(heard.astype(np.int32))).max() <= 1.3 * np.abs(np.diff(signal.astype(np.int32))).max()


def test_sound_fades_to_silence_after_100_ms_and_comes_back() -> None:
    signal = voice(8_000)
    heard = play(signal, 8_000, lost=set(range(20, 27)))
    levels = [rms(heard[start : start + 80]) / rms(signal) for start in range(20 * 160, 29 * 160, 80)]

    assert levels[0] == pytest.approx(1.0, abs=0.1)
    assert levels[2:10] == sorted(levels[2:10], reverse=True)
    assert levels[10:14] == [0, 0, 0, 0]
    assert levels[16] == pytest.approx(1.0, abs=0.1)


def bridged(signal: NDArray[np.int16], rate_hz: int, lost: int, *, count: int = 1) -> NDArray[np.int16]:
    """Play with `count` frames missing, the last of which is bridged to the frame after it."""
    concealer, size = Concealer(rate_hz), rate_hz // 50
    frames = [signal[start : start + size] for start in range(0, len(signal), size)]
    heard: list[NDArray[np.int16]] = []
    for number, frame in enumerate(frames):
        if number == lost + count - 1:
            heard.append(concealer.bridge(size, frames[number + 1]))
        elif lost <= number < lost + count:
            heard.append(concealer.conceal(size))
        else:
            heard.append(concealer.feed(frame))
    return np.concatenate(heard)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
@pytest.mark.parametrize("pitch_hz", [90.0, 118.7, 151.3])
def test_a_gap_is_bridged_to_the_sound_after_it_in_phase(rate_hz: int, pitch_hz: float) -> None:
    signal, size = voice(rate_hz, pitch_hz=pitch_hz), rate_hz // 50
    gap = slice(20 * size, 21 * size)

    heard, faded = bridged(signal, rate_hz, 20), play(signal, rate_hz, lost={20})

    assert rms(heard[gap] - signal[gap]) < rms(faded[gap] - signal[gap])
    assert np.abs(np.diff(heard.astype(np.int32))).max() <= 1.3 * np.abs(np.diff(signal.astype(np.int32))).max()
    assert np.array_equal(heard[22 * size :], signal[22 * size :])


def test_a_bridge_takes_over_the_level_of_its_far_end() -> None:
    signal = voice(8_000).astype(np.float64)
    signal[21 * 160 :] *= 0.3
    heard = bridged(signal.astype(np.int16), 8_000, 20)

    assert rms(heard[20 * 160 + 120 : 21 * 160]) < 0.6 * rms(heard[19 * 160 : 20 * 160])


def test_the_end_of_two_lost_frames_is_bridged_and_of_three_is_not() -> None:
    signal = voice(8_000, pitch_hz=118.7)

    assert not np.array_equal(bridged(signal, 8_000, 20, count=2), play(signal, 8_000, lost={20, 21}))
    assert np.array_equal(bridged(signal, 8_000, 20, count=3), play(signal, 8_000, lost={20, 21, 22}))


def test_two_sides_that_are_not_alike_are_joined_unstretched_and_without_a_click() -> None:
    signal = voice(8_000)
    signal[21 * 160 :] = np.random.default_rng(1).integers(-800, 800, len(signal) - 21 * 160)

    heard = bridged(signal, 8_000, 20)

    assert np.abs(np.diff(heard[20 * 160 : 22 * 160].astype(np.int32))).max() < 5_000


def test_good_sound_is_untouched_once_the_overlap_is_over() -> None:
    signal = voice(8_000)
    heard = play(signal, 8_000, lost={20})

    assert np.array_equal(heard[21 * 160 + 80 :], signal[21 * 160 + 80 :])


def test_nothing_before_a_loss_gives_silence() -> None:
    assert not Concealer(8_000).conceal(160).any()


def test_reset_forgets_the_sound() -> None:
    concealer = Concealer(8_000)
    concealer.feed(voice(8_000))
    concealer.conceal(160)

    concealer.reset()

    assert not concealer.conceal(160).any()


def test_loud_sound_stays_within_16_bits() -> None:
    square = np.where(np.arange(1_600) // 31 % 2, 32_767, -32_768).astype(np.int16)
    concealer = Concealer(8_000)
    concealer.feed(square)

    made = concealer.conceal(160)

    assert rms(made[:60]) > 25_000


@pytest.mark.parametrize("rate_hz", [0, 11_025])
def test_other_rates_are_refused_by_name(rate_hz: int) -> None:
    with pytest.raises(ValueError, match=f"cannot conceal at {rate_hz} Hz"):
        Concealer(rate_hz)


@given(cuts=st.lists(st.integers(1, 60), min_size=1, max_size=12), seed=st.integers(0, 2**32 - 1))
def test_asking_for_a_loss_in_pieces_changes_nothing(cuts: list[int], seed: int) -> None:
    noise = np.random.default_rng(seed).integers(-20_000, 20_000, 800).astype(np.int16)
    whole, parts = Concealer(8_000), Concealer(8_000)
    whole.feed(noise)
    for frame in np.split(noise, 5):
        parts.feed(frame)

    made = whole.conceal(8 * sum(cuts))

    # The pattern grows, and its step is smoothed, within one call: pieces of whole 10 ms are the same.
    assert len(made) == 8 * sum(cuts)
    tens = [80] * (len(made) // 80)
    assert np.array_equal(np.concatenate([parts.conceal(n) for n in tens] or [made[:0]]), made[: sum(tens)])


def test_crossfade_joins_both_neighbours() -> None:
    signal = voice(8_000)
    joined = crossfade(signal[320:480], signal[480:640])

    assert len(joined) == 160
    assert abs(int(joined[0]) - int(signal[320])) < 200
    assert abs(int(joined[-1]) - int(signal[639])) < 200
