"""Tones of networks and machines, through G.711, and voices that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from telephony.audio.tones import ToneDetector, feed_together
from telephony.leg import Tone
from tests.unit.telephony.audio.test_dtmf import SPEECH, dialled, spoken, through_g711

Sound = NDArray[np.float64]


def tone(*hertz: float, ms: int) -> Sound:
    at_s = np.arange(8 * ms) / 8_000
    return sum((3_000 * np.sin(2 * np.pi * each * at_s) for each in hertz), np.zeros(8 * ms))


def quiet(ms: int) -> Sound:
    return np.zeros(8 * ms)


def heard(*sounds: Sound) -> list[tuple[Tone, int]]:
    """What was told, and in which ms."""
    sound = through_g711(np.concatenate(sounds))
    detector, found = ToneDetector(), []
    for start in range(0, len(sound) - 319, 320):
        found += [(tone, start // 16) for tone in detector.feed(sound[start : start + 320])]
    return found


def kinds(*sounds: Sound) -> list[Tone]:
    return [tone for tone, _ in heard(*sounds)]


@pytest.mark.parametrize(("pitches", "ms"), [((425,), 350), ((425,), 500), ((480, 620), 500)])
def test_busy_is_told_once_in_its_third_burst(pitches: tuple[float, ...], ms: int) -> None:
    found = heard(*[tone(*pitches, ms=ms), quiet(ms)] * 6)

    assert [kind for kind, _ in found] == [Tone.BUSY]
    assert found[0][1] < 5 * ms


@pytest.mark.parametrize(("pitches", "ms"), [((425,), 175), ((425,), 250), ((480, 620), 250)])
def test_fast_busy_is_congestion(pitches: tuple[float, ...], ms: int) -> None:
    assert kinds(*[tone(*pitches, ms=ms), quiet(ms)] * 8) == [Tone.CONGESTION]


def test_busy_that_began_before_we_listened_is_busy() -> None:
    assert kinds(tone(425, ms=100), quiet(400), *[tone(425, ms=400), quiet(400)] * 4) == [Tone.BUSY]


@pytest.mark.parametrize(
    "sounds",
    [
        [tone(425, ms=1_000), quiet(4_000), tone(425, ms=1_000), quiet(4_000), tone(425, ms=1_000)],  # it rings
        [tone(425, ms=6_000)],  # dial tone
        [tone(425, ms=400), quiet(400), tone(425, ms=400), quiet(900), tone(425, ms=400)],
        [tone(1_000, 1_300, ms=400), quiet(400)] * 4,
        [tone(425, ms=400), quiet(400), tone(480, ms=400), quiet(400), tone(425, ms=400)],
    ],
)
def test_other_cadences_are_neither(sounds: list[Sound]) -> None:
    assert kinds(*sounds) == []


def test_bursts_with_voices_between_are_no_cadence() -> None:
    noise = np.random.default_rng(1).standard_normal(8 * 400) * 2_000

    assert kinds(*[tone(425, ms=400), noise] * 4) == []


@pytest.mark.parametrize(
    ("pitches", "times"),
    [
        ((950, 1400, 1800), (330, 330, 330)),
        ((985.2, 1370.6, 1776.7), (380, 274, 380)),
        ((913.8, 1428.5, 1776.7), (274, 380, 380)),
    ],
)
def test_special_information_is_three_rising_tones(pitches: tuple[float, ...], times: tuple[int, ...]) -> None:
    three = [tone(pitch, ms=ms) for pitch, ms in zip(pitches, times, strict=True)]

    assert kinds(quiet(200), *three, quiet(1_000)) == [Tone.SPECIAL_INFORMATION]
    assert Tone.SPECIAL_INFORMATION not in kinds(quiet(200), *reversed(three), quiet(1_000))


def test_a_fax_that_calls_is_told_at_its_first_tone() -> None:
    found = heard(quiet(500), tone(1_100, ms=500), quiet(3_000), tone(1_100, ms=500), quiet(1_000))

    assert [kind for kind, _ in found] == [Tone.FAX_CALLING]
    assert found[0][1] < 1_400


def test_a_fax_that_answers_is_told_while_its_tone_lasts_phase_reversals_and_all() -> None:
    at_s = np.arange(8 * 3_000) / 8_000
    reversing = 3_000 * np.sin(2 * np.pi * 2_100 * at_s + np.pi * (np.floor(at_s / 0.45) % 2))

    assert kinds(quiet(300), tone(2_100, ms=3_000), quiet(300)) == [Tone.FAX_ANSWER]
    assert kinds(quiet(300), reversing * (1 + 0.2 * np.sin(2 * np.pi * 15 * at_s)), quiet(300)) == [Tone.FAX_ANSWER]


@pytest.mark.parametrize(("hertz", "ms"), [(1_000, 400), (1_400, 200), (800, 1_000)])
def test_an_answering_machine_beeps(hertz: int, ms: int) -> None:
    noise = np.random.default_rng(1).standard_normal(8 * 2_000) * 2_000

    assert kinds(noise, quiet(100), tone(hertz, ms=ms), quiet(600)) == [Tone.BEEP]


@pytest.mark.parametrize("sound", [tone(1_000, ms=80), tone(1_000, ms=2_500), tone(300, ms=400), dialled("1")])
def test_what_is_no_beep(sound: Sound) -> None:
    assert kinds(quiet(200), sound, quiet(600)) == []


def test_a_second_beep_is_told_after_a_voice() -> None:
    noise = np.random.default_rng(1).standard_normal(8 * 500) * 2_000

    assert kinds(tone(1_000, ms=300), quiet(400), noise, quiet(100), tone(1_000, ms=300), quiet(400)) == [Tone.BEEP] * 2


@pytest.mark.parametrize("path", SPEECH, ids=lambda path: path.stem)
def test_voices_are_no_tones(path: Path) -> None:
    assert kinds(spoken(path), quiet(500)) == []


def test_calls_listened_to_together_are_told_what_each_is_told_alone() -> None:
    noise = np.random.default_rng(1).standard_normal(8 * 2_000) * 2_000
    sounds = [
        np.concatenate([np.concatenate((tone(425, ms=350), quiet(350)))] * 6),
        np.concatenate((noise, quiet(100), tone(1_000, ms=400), quiet(1_700))),
        np.concatenate([np.concatenate((tone(480, 620, ms=250), quiet(250)))] * 9)[: 8 * 4_200],
        quiet(4_200),
        np.concatenate((noise, noise, noise))[: 8 * 4_200],
    ]
    streams = [through_g711(sound)[: 320 * 209] for sound in sounds]
    detectors = [ToneDetector() for _ in streams]
    detectors[1].feed(np.zeros(320, np.int16))  # half a window ahead of the others
    found: list[list[Tone]] = [[] for _ in streams]
    for start in range(0, 320 * 209, 320):
        rows = np.stack([stream[start : start + 320] for stream in streams])
        for index, tones in enumerate(feed_together(detectors, rows)):
            found[index] += tones

    assert found == [[Tone.BUSY], [Tone.BEEP], [Tone.CONGESTION], [], []]
