from __future__ import annotations

import numpy as np
import pytest

from bot.loadtest.alignment import Reference, align
from bot.loadtest.sound import RATE_HZ, Samples
from telephony.audio.g711 import A_LAW
from tests.fakes.talking_bot import FRAME, speech

VOICE = speech(4.0, seed=11)
SOURCE = Reference("hours", VOICE, "bir iki üç dörd beş altı yeddi səkkiz")


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), np.int16)


def test_an_answer_that_came_whole_is_found_whole() -> None:
    found = align(SOURCE, np.concatenate([silence(0.2), VOICE, silence(0.5)]))

    assert found is not None
    assert found.begin_s == pytest.approx(0.2, abs=0.001)
    assert found.found_share == 1.0
    assert (found.gaps, found.inserted_ms, found.cut_ms) == ((), 0.0, 0.0)
    assert (found.words_right, found.words) == (8, 8)
    assert found.voiced_s == pytest.approx(4.0, abs=0.2)


def test_loudness_and_companding_change_nothing() -> None:
    narrow = (VOICE[::2] * 0.4).astype(np.int16)
    heard = np.repeat(A_LAW.decode(A_LAW.encode(narrow)), 2)

    found = align(SOURCE, heard)

    assert found is not None
    assert found.found_share > 0.95
    assert found.same


@pytest.mark.parametrize("length_ms", [60, 100, 300, 800])
def test_time_put_in_is_a_gap_of_its_length_at_its_place(length_ms: int) -> None:
    heard = np.concatenate([VOICE[: 2 * RATE_HZ], silence(length_ms / 1000), VOICE[2 * RATE_HZ :]])

    found = align(SOURCE, heard)

    assert found is not None
    (gap,) = found.gaps
    assert gap.length_ms == pytest.approx(length_ms, abs=1)
    assert gap.at_s == pytest.approx(2.0, abs=0.1)


def test_frames_left_out_are_counted_to_the_millisecond() -> None:
    frames = VOICE.reshape(-1, FRAME)
    kept = np.delete(frames, [30, 80, 130, 180], axis=0).reshape(-1)

    found = align(SOURCE, kept)

    assert found is not None
    assert found.cut_ms == pytest.approx(80, abs=2)
    assert found.gaps == ()


def test_words_whose_sound_was_lost_are_not_right() -> None:
    heard = VOICE.copy()
    heard[RATE_HZ : 2 * RATE_HZ] = np.random.default_rng(1).normal(0, 2000, RATE_HZ).astype(np.int16)

    found = align(SOURCE, heard)

    assert found is not None
    assert found.words == 8
    assert found.words - found.words_right in (1, 2)


def test_an_answer_that_was_cut_is_judged_up_to_the_cut() -> None:
    found = align(SOURCE, np.concatenate([VOICE[:RATE_HZ], silence(3)]), until_s=1.0)

    assert found is not None
    assert found.found_share == 1.0
    assert found.words < 8


def test_another_text_is_no_match() -> None:
    assert align(SOURCE, speech(4.0, seed=12)) is None
    assert align(SOURCE, silence(4.0)) is None
    assert align(SOURCE, silence(0.05)) is None
    assert align(Reference("nothing", silence(2)), VOICE) is None


def test_a_source_without_words_has_none() -> None:
    found = align(Reference("hours", VOICE), VOICE[: RATE_HZ // 4])

    assert found is not None
    assert (found.words_right, found.words) == (0, 0)


def test_a_piece_that_would_lie_beyond_the_end_is_not_looked_for() -> None:
    heard = np.concatenate([VOICE[:RATE_HZ], silence(1.3)])

    found = align(SOURCE, heard)

    assert found is not None
    assert found.found < found.pieces  # what ought to have come within the recording and did not


@pytest.mark.parametrize(("pause_s", "gaps_ms"), [(0.25, []), (0.6, []), (0.8, [300])])
def test_a_pause_between_two_sentences_may_be_longer_or_shorter_but_no_stall(
    pause_s: float, gaps_ms: list[int]
) -> None:
    second = speech(2.0, seed=13)
    source = Reference("both", np.concatenate([VOICE, silence(0.5), second]))

    found = align(source, np.concatenate([VOICE, silence(pause_s), second]))

    assert found is not None
    assert (found.cut_ms, found.shortened_ms) == (0.0, pytest.approx(250 if pause_s < 0.5 else 0, abs=2))
    assert [gap.length_ms for gap in found.gaps] == pytest.approx(gaps_ms, abs=2)


def test_a_frame_cut_out_of_the_very_first_piece_does_not_hide_the_answer() -> None:
    frames = VOICE.reshape(-1, FRAME)

    found = align(SOURCE, np.delete(frames, 3, axis=0).reshape(-1))

    assert found is not None
    assert found.found_share > 0.9
    assert found.begin_s == pytest.approx(-0.02, abs=0.002)


def test_the_same_words_spoken_anew_are_found_and_known_for_another_sound() -> None:
    loudness = float(np.sqrt(np.mean(VOICE.astype(np.float64) ** 2)))
    anew = VOICE + np.random.default_rng(3).normal(0, 0.8 * loudness, len(VOICE))

    found = align(SOURCE, anew.clip(-32767, 32767).astype(np.int16))

    assert found is not None
    assert found.found_share > 0.8
    assert not found.same


def test_a_lost_piece_that_sounds_like_an_earlier_one_is_no_jump_there_and_back() -> None:
    at, copy = 2 * RATE_HZ, round(1.6 * RATE_HZ)
    twice = VOICE.copy()
    twice[at : at + 3840] = twice[copy : copy + 3840]
    heard = twice.copy()
    heard[at : at + 3840] = np.random.default_rng(1).normal(0, 500, 3840).astype(np.int16)

    found = align(Reference("twice", twice), heard)

    assert found is not None
    assert (found.cut_ms, found.gaps) == (0.0, ())


def test_a_piece_behind_a_cut_that_sounds_like_one_before_it_is_no_jump_back() -> None:
    cut, copy = 2 * RATE_HZ, round(1.5 * RATE_HZ)
    twice = VOICE.copy()
    twice[cut : cut + 3840] = twice[copy : copy + 3840]

    found = align(Reference("twice", twice), np.concatenate([twice[:cut], silence(1.0)]))

    assert found is not None
    assert (found.cut_ms, found.gaps) == (0.0, ())


def test_other_words_of_a_voice_whose_vowels_are_all_alike_are_another_sound() -> None:
    at = np.arange(round(0.2 * RATE_HZ)) / RATE_HZ
    vowels = [
        sum(
            8_000 / n * np.exp(-(((110 * n - formant) / 300) ** 2)) * np.sin(2 * np.pi * 110 * n * at)
            for n in range(1, 30)
        )
        for formant in (300, 500, 700, 1_100, 1_700)
    ]
    dice = np.random.default_rng(5)
    one, other = (np.concatenate([vowels[n] for n in dice.integers(0, 5, 20)]).astype(np.int16) for _ in range(2))

    found = align(Reference("one", one), other)

    assert found is not None
    assert (found.found_share > 0.9, found.likeness > 0.9) == (True, True)  # by its pieces alone it is the same
    assert not found.same


def test_a_stall_in_an_answer_that_is_cut_off_soon_is_heard_for_what_it_is() -> None:
    at, end = round(0.16 * RATE_HZ), round(0.32 * RATE_HZ)
    heard = np.concatenate([silence(0.2), VOICE[:at], silence(0.3), VOICE[at:end], silence(0.5)])

    found = align(SOURCE, heard)

    assert found is not None
    assert len(found.gaps) == 1
    assert found.same
