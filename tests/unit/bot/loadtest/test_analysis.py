"""The whole logic on a virtual clock: a bot of known delays, a caller, and what the analysis makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from bot.loadtest.analysis import Deed, abrupt_gaps, analyse
from bot.loadtest.behaviour import Step, StepKind
from bot.loadtest.clips import clip_of, cough
from bot.loadtest.sound import RATE_HZ, levels
from tests.fakes.talking_bot import Samples, TalkingBot, speech, wire

CLIPS = {"hello": clip_of(speech(1.0, seed=1)), "cough": cough()}
SAY = Step(StepKind.SAY, clip="hello")
PROMPTS = [speech(3.0, seed=2), speech(4.0, seed=3)]


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), np.int16)


@pytest.mark.parametrize("answer_s", [0.25, 0.4, 0.73])
def test_the_latency_is_the_bots_own_within_a_frame(answer_s: float) -> None:
    heard, deeds, _ = wire(TalkingBot(PROMPTS, answer_s=answer_s), [SAY], CLIPS, seconds=60, repeat=True)

    figures = analyse(heard, deeds)

    latencies = [turn.latency_ms for turn in figures.turns if turn.latency_ms is not None]
    assert len(latencies) >= 8
    # The frame that the caller speaks leaves once it is whole: 20 ms, and as many for the bot's own.
    assert latencies == pytest.approx([1000 * answer_s + 20] * len(latencies), abs=21)
    assert not any(turn.missed or turn.early for turn in figures.turns)


def test_the_greeting_is_timed_from_the_first_frame() -> None:
    heard, deeds, _ = wire(TalkingBot(PROMPTS, greeting_s=0.5), [SAY], CLIPS, seconds=20)

    assert analyse(heard, deeds).greeting_ms == pytest.approx(500, abs=20)
    assert analyse(silence(3), ()).greeting_ms is None


def test_a_key_is_answered_from_its_end() -> None:
    bot = TalkingBot(PROMPTS, answer_s=0.1)

    heard, deeds, _ = wire(bot, [Step(StepKind.PRESS, digits="2")], CLIPS, seconds=30)

    (turn,) = analyse(heard, deeds).turns
    assert turn.latency_ms == pytest.approx(100, abs=21)


@pytest.mark.parametrize("stop_s", [0.1, 0.3])
def test_barge_in_is_timed_from_the_callers_first_sound_to_the_bots_last(stop_s: float) -> None:
    cut_in = Step(StepKind.CUT_IN, clip="hello", after_s=1.0)

    heard, deeds, _ = wire(TalkingBot(PROMPTS, stop_s=stop_s), [SAY, cut_in], CLIPS, seconds=30)

    turn = analyse(heard, deeds).turns[1]
    assert turn.stop_ms == pytest.approx(1000 * stop_s + 20, abs=21)
    assert not turn.ignored


def test_a_bot_that_goes_on_has_ignored_the_caller() -> None:
    cut_in = Step(StepKind.CUT_IN, clip="hello", after_s=0.5)

    heard, deeds, _ = wire(TalkingBot(PROMPTS, hears_barge_in=False), [SAY, cut_in], CLIPS, seconds=30)

    turn = analyse(heard, deeds).turns[1]
    assert turn.ignored
    assert (turn.latency_ms, turn.stop_ms) == (None, None)


@pytest.mark.parametrize("cut_in_s", [1.9, 2.2])  # into its words, into its pause
def test_the_last_words_of_a_bot_that_is_cut_off_after_a_pause_are_no_early_reply(cut_in_s: float) -> None:
    heard = np.concatenate(
        [PROMPTS[0][: 2 * RATE_HZ], silence(0.4), PROMPTS[0][: RATE_HZ // 2], silence(1.5), PROMPTS[1]]
    )
    deed = Deed(0, 0, StepKind.CUT_IN, cut_in_s, 3.5)

    (turn,) = analyse(heard, [deed]).turns

    assert (turn.early, turn.ignored) == (False, False)
    assert turn.stop_ms == pytest.approx(1000 * (2.9 - cut_in_s), abs=20)
    assert turn.latency_ms == pytest.approx(900, abs=20)


def test_a_reply_into_the_words_of_a_caller_who_cut_in_is_early() -> None:
    heard = np.concatenate([PROMPTS[0][: 2 * RATE_HZ], silence(0.4), PROMPTS[0], silence(6)])

    (turn,) = analyse(heard, [Deed(0, 0, StepKind.CUT_IN, 1.7, 4.0)]).turns

    assert (turn.early, turn.ignored) == (True, False)
    assert turn.stop_ms == pytest.approx(300, abs=20)


def test_who_cuts_in_before_the_bot_has_spoken_has_cut_nothing_off() -> None:
    heard = np.concatenate([silence(3.0), PROMPTS[0], silence(1)])

    (turn,) = analyse(heard, [Deed(0, 0, StepKind.CUT_IN, 1.0, 2.5)]).turns

    assert turn.stop_ms is None
    assert turn.latency_ms == pytest.approx(500, abs=20)


def test_a_cough_that_stops_the_bot_is_a_false_stop_and_one_that_does_not_is_none() -> None:
    script = [SAY, Step(StepKind.COUGH, clip="cough", after_s=1.0), SAY]

    nervous, *_ = (wire(TalkingBot(PROMPTS, stop_s=0.06), script, CLIPS, seconds=40),)
    calm, *_ = (wire(TalkingBot(PROMPTS, hears_barge_in=False), script, CLIPS, seconds=40),)

    assert [turn.false_stop for turn in analyse(*nervous[:2]).turns if turn.kind is StepKind.COUGH] == [True]
    assert [turn.false_stop for turn in analyse(*calm[:2]).turns if turn.kind is StepKind.COUGH] == [False]


def test_no_answer_is_a_missed_turn_once_the_recording_is_long_enough_to_say() -> None:
    deed = Deed(0, 0, StepKind.SAY, 1.0, 2.0)

    (missed,) = analyse(np.concatenate([speech(0.5), silence(8)]), (deed,)).turns
    assert missed.missed
    assert analyse(np.concatenate([speech(0.5), silence(4)]), (deed,)).turns == ()


def test_a_bot_that_speaks_into_the_callers_words_is_early() -> None:
    heard = np.concatenate([silence(1.5), speech(2.0), silence(1)])

    (turn,) = analyse(heard, (Deed(0, 0, StepKind.SAY, 1.0, 2.0),)).turns

    assert turn.early
    assert turn.latency_ms is None


@pytest.mark.parametrize("length_ms", [60, 120, 300, 900])
def test_a_hole_in_the_middle_of_speech_is_a_gap_of_its_length(length_ms: int) -> None:
    voice = speech(4.0, seed=5)
    heard = np.concatenate([voice[: 2 * RATE_HZ], silence(length_ms / 1000), voice[2 * RATE_HZ :]])

    (gap,) = abrupt_gaps(heard, levels(heard))

    assert gap.length_ms == pytest.approx(length_ms, abs=10)
    assert gap.at_s == pytest.approx(2.0, abs=0.011)


def test_the_pause_of_a_synthesiser_that_fades_within_10_ms_is_none() -> None:
    voice = speech(4.0, seed=5).astype(np.float64)
    fade = np.linspace(1, 0, RATE_HZ // 100) ** 2
    voice[2 * RATE_HZ - len(fade) : 2 * RATE_HZ] *= fade
    voice[2 * RATE_HZ : 2 * RATE_HZ + len(fade)] *= fade[::-1]
    heard = np.concatenate([voice[: 2 * RATE_HZ], np.zeros(RATE_HZ // 5), voice[2 * RATE_HZ :]]).astype(np.int16)

    assert abrupt_gaps(heard, levels(heard)) == ()


def test_a_gap_right_after_the_first_window_is_found_too() -> None:
    sound = speech(1.0, seed=5)[4000:]
    heard = np.concatenate([sound[: RATE_HZ // 100], silence(0.1), sound[RATE_HZ // 100 :]])

    (gap,) = abrupt_gaps(heard, levels(heard))
    assert gap.at_s < 0.05


def test_short_holes_long_pauses_and_fading_words_are_no_gaps() -> None:
    voice = speech(4.0, seed=5)
    short = np.concatenate([voice[: 2 * RATE_HZ], silence(0.04), voice[2 * RATE_HZ :]])
    pause = np.concatenate([voice[: 2 * RATE_HZ], silence(1.5), voice[2 * RATE_HZ :]])
    fade = voice.astype(np.float64)
    ramp = np.linspace(1, 0, RATE_HZ // 10)
    fade[2 * RATE_HZ - len(ramp) : 2 * RATE_HZ] *= ramp
    faded = np.concatenate([fade[: 2 * RATE_HZ], np.zeros(RATE_HZ // 5), fade[2 * RATE_HZ :]]).astype(np.int16)

    for heard in (short, pause, faded, silence(2)):
        assert abrupt_gaps(heard, levels(heard)) == ()


def test_a_stall_in_the_bots_sound_is_found_by_the_gaps_it_leaves() -> None:
    bot = TalkingBot([speech(40.0, seed=8)], stall_every_s=10.0, stall_s=0.3)

    heard, *_ = wire(bot, [Step(StepKind.HANG_UP)], CLIPS, seconds=38)

    gaps = abrupt_gaps(heard, levels(heard))
    assert [gap.length_ms for gap in gaps] == pytest.approx([300] * 3, abs=20)
    assert [gap.at_s for gap in gaps] == pytest.approx([10, 20, 30], abs=0.1)
