"""Key presses as tones: heard through G.711, refused to voices."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from telephony.audio.dtmf import HIGH_HZ, KEYS, LOW_HZ, KeyTone, KeyToneDetector, KeyToneSender
from telephony.audio.g711 import A_LAW
from telephony.audio.resample import Resampler
from telephony.errors import LocalProtocolError

ALL = "0123456789*#ABCD"
SPEECH = sorted((Path(__file__).parents[3] / "data" / "speech").glob("*.wav"))


def through_g711(sound: NDArray[np.float64]) -> NDArray[np.int16]:
    """What the detector is given of sound at 8 kHz."""
    coded = A_LAW.encode(np.clip(np.rint(sound), -32_768, 32_767).astype(np.int16))
    return Resampler(8_000, 16_000).feed(A_LAW.decode(coded))


def pair(low: float, high: float, ms: int, *, twist_db: float = 0, level: float = 3_000) -> NDArray[np.float64]:
    at_s = np.arange(8 * ms) / 8_000
    high_level = level * 10 ** (twist_db / 20)
    return level * np.sin(2 * np.pi * low * at_s) + high_level * np.sin(2 * np.pi * high * at_s)


def heard(sound: NDArray[np.float64]) -> list[KeyTone]:
    pause = np.zeros(800)
    return KeyToneDetector().feed(through_g711(np.concatenate((pause, sound, pause))))


def dialled(digits: str, rate: int = 8_000) -> NDArray[np.float64]:
    sender = KeyToneSender()
    sender.press(digits)
    frames: list[NDArray[np.float64]] = []
    while sender.is_active:
        frame = sender.frame(rate)
        frames.append(np.zeros(rate // 50) if frame is None else frame.astype(float))
    return np.concatenate(frames)


def test_every_key_that_is_sent_is_heard_once() -> None:
    assert "".join(press.digit for press in heard(dialled(ALL))) == ALL
    assert {press.duration_ms for press in heard(dialled(ALL))} <= {90, 100}


def test_the_same_key_twice_is_two_presses() -> None:
    assert [press.digit for press in heard(dialled("55"))] == ["5", "5"]


@settings(max_examples=15)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=20))
def test_presses_are_heard_however_the_stream_is_cut(cuts: list[int]) -> None:
    sound = through_g711(np.concatenate((np.zeros(800), dialled("159D"), np.zeros(800))))
    detector, presses, start = KeyToneDetector(), [], 0
    for cut in [*cuts, len(sound)]:
        presses += detector.feed(sound[start : start + cut])
        start += cut

    assert presses == KeyToneDetector().feed(sound)


@pytest.mark.parametrize("snr_db", [20, 15, 12])
def test_noise_on_the_line_hides_no_key(snr_db: int) -> None:
    sound = dialled(ALL)
    noise = np.random.default_rng(1).standard_normal(len(sound)) * np.sqrt(np.mean(sound**2)) * 10 ** (-snr_db / 20)

    assert "".join(press.digit for press in heard(sound + noise)) == ALL


@pytest.mark.parametrize("offset", range(0, 80, 7))
def test_a_press_of_40_ms_is_heard_and_one_of_15_is_not(offset: int) -> None:
    lead = np.zeros(offset)

    assert [press.digit for press in heard(np.concatenate((lead, pair(770, 1477, 40))))] == ["6"]
    assert heard(np.concatenate((lead, pair(770, 1477, 15)))) == []


def test_a_drop_of_10_ms_does_not_make_two_presses_of_one() -> None:
    tone = pair(697, 1209, 120)
    tone[400:470] = 0

    assert [press.digit for press in heard(tone)] == ["1"]


def test_one_key_right_after_another_is_two_presses() -> None:
    sound = np.concatenate((pair(697, 1209, 80), pair(852, 1336, 80)))

    assert [press.digit for press in heard(sound)] == ["1", "8"]


@pytest.mark.parametrize("low", LOW_HZ)
@pytest.mark.parametrize("high", HIGH_HZ)
def test_tones_may_be_off_by_one_and_a_half_percent_and_not_by_three_and_a_half(low: float, high: float) -> None:
    key = KEYS[LOW_HZ.index(low)][HIGH_HZ.index(high)]
    for off in (0.985, 1.015):
        assert [press.digit for press in heard(pair(low * off, high * off, 60))] == [key]
    for off in (0.955, 1.045):
        assert heard(pair(low, high * off, 60)) == []


@pytest.mark.parametrize(("twist_db", "count"), [(7, 1), (-5, 1), (10, 0), (-8, 0)])
def test_one_tone_may_be_stronger_within_limits(twist_db: int, count: int) -> None:
    assert len(heard(pair(852, 1336, 60, twist_db=twist_db))) == count


def test_a_whisper_of_a_key_is_line_noise() -> None:
    assert heard(pair(852, 1336, 60, level=40)) == []


@pytest.mark.parametrize("extra", [770.0, 1477.0, 400.0, 3_000.0])
def test_a_third_tone_makes_it_no_key(extra: float) -> None:
    sound = pair(697, 1209, 60)

    assert heard(sound + 3_000 * np.sin(2 * np.pi * extra * np.arange(len(sound)) / 8_000)) == []


def spoken(path: Path) -> NDArray[np.float64]:
    """A clip at 8 kHz."""
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
    at = np.arange(int(len(samples) * 8_000 / rate)) * rate / 8_000
    return np.interp(at, np.arange(len(samples)), samples)


@pytest.mark.parametrize("path", SPEECH, ids=lambda path: path.stem)
@pytest.mark.parametrize("gain", [0.2, 1.0])
def test_voices_press_no_keys(path: Path, gain: float) -> None:
    assert heard(gain * spoken(path)) == []


def test_only_keys_can_be_sent_and_not_without_bound() -> None:
    sender = KeyToneSender()
    with pytest.raises(LocalProtocolError, match="as tones"):
        sender.press("5x")
    with pytest.raises(LocalProtocolError, match="wait to be sent"):
        sender.press("5" * 65)


def test_a_press_is_100_ms_of_tone_and_60_of_silence_and_counts_when_done() -> None:
    sender = KeyToneSender()
    assert sender.press("12") == 2
    frames = [sender.frame(16_000) for _ in range(8)]

    assert [frame is None for frame in frames] == [False] * 5 + [True] * 3
    assert sender.pressed == 1
    sound = np.concatenate([frame for frame in frames if frame is not None])
    assert len(sound) == 1_600
    assert abs(int(sound[0])) < 100  # no click
