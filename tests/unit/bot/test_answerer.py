"""Who answered, judged by voices, silences and tones of which only the times are real."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.answerer import FLOW_TONES, AnswererJudge, AnswererPolicy
from bot.flows.actions import Answerer
from bot.voice_activity import VoiceStarted, VoiceStopped
from telephony.leg import Tone

HUMAN, MACHINE, RECORDING, FAX = Answerer.HUMAN, Answerer.MACHINE, Answerer.RECORDING, Answerer.FAX
NOTICED_S = 0.128  # after which the voice detector is sure of a start or a pause


class Line:
    """A call that is answered at 100 s."""

    def __init__(self, policy: AnswererPolicy | None = None) -> None:
        self.now = 100.0
        self.judge = AnswererJudge(policy or AnswererPolicy(), now=self.now)
        self.verdicts: list[tuple[Answerer, float]] = []  # with the seconds since the answer

    def _until(self, at: float) -> None:
        while (due := self.judge.timer_at()) is not None and due <= at:
            self.now = due
            self.judge.handle_timer(now=due)
            self._collect()
        self.now = at

    def _collect(self) -> None:
        while (verdict := self.judge.poll()) is not None:
            self.verdicts.append((verdict, round(self.now - 100, 3)))

    def voice(self, seconds: float) -> Line:
        began = self.now
        self._until(began + NOTICED_S)
        self.judge.voice(VoiceStarted(0), began)
        self._collect()
        self._until(max(self.now, began + seconds))
        return self

    def quiet(self, seconds: float) -> Line:
        ended = self.now
        self._until(ended + NOTICED_S)
        self.judge.voice(VoiceStopped(0), ended)
        self._collect()
        self._until(max(self.now, ended + seconds))
        return self

    def wait(self, seconds: float) -> Line:
        self._until(self.now + seconds)
        return self

    def tone(self, tone: Tone) -> Line:
        self.judge.tone(tone, now=self.now)
        self._collect()
        return self


def test_a_hello_and_a_pause_are_a_humans() -> None:
    assert Line().wait(0.7).voice(0.5).quiet(2).verdicts == [(HUMAN, 2.0)]


def test_two_words_with_a_breath_between_are_a_humans_too() -> None:
    assert Line().voice(0.4).quiet(0.5).voice(0.6).quiet(1).verdicts == [(HUMAN, 2.3)]


def test_whoever_speaks_on_is_a_machine_and_records_after_its_beep() -> None:
    line = Line().wait(0.5).voice(9)
    assert line.verdicts == [(MACHINE, 2.5)]
    assert line.quiet(1).tone(Tone.BEEP).wait(60).verdicts == [(MACHINE, 2.5), (RECORDING, 10.5)]


def test_a_machine_without_a_beep_records_when_it_has_been_silent_for_long() -> None:
    verdicts = Line().voice(3).quiet(1.5).voice(2).quiet(5).verdicts
    assert verdicts == [(MACHINE, 2.0), (RECORDING, 9.5)]


def test_a_machine_that_never_ends_is_spoken_to_all_the_same() -> None:
    assert Line().voice(100).verdicts == [(MACHINE, 2.0), (RECORDING, 47.0)]


@pytest.mark.parametrize("pause", [0.2, 0.4])
def test_many_words_with_short_gaps_are_a_machines(pause: float) -> None:
    line = Line()
    for _ in range(4):
        line.voice(0.15).quiet(pause)
    assert [verdict for verdict, _ in line.verdicts] == [MACHINE]


def test_a_word_that_begins_when_a_human_would_have_stopped_is_a_machines() -> None:
    assert Line().voice(1.5).quiet(0.6).voice(0.3).verdicts == [(MACHINE, 2.228)]


def test_speech_that_was_long_by_the_time_its_end_was_noticed_is_a_machines() -> None:
    assert Line().voice(1.95).quiet(0.2).verdicts == [(MACHINE, 2.0)]
    judge = AnswererJudge(AnswererPolicy(), now=0.0)
    judge.voice_started(began_at=0.0)
    judge.voice_stopped(ended_at=2.1)  # nobody had time for the timer
    assert judge.poll() is MACHINE


def test_nobody_who_speaks_is_taken_for_a_human_or_for_what_the_policy_says() -> None:
    assert Line().wait(9).verdicts == [(HUMAN, 2.5)]
    assert Line(AnswererPolicy(silence_is=MACHINE)).wait(9).verdicts == [(MACHINE, 2.5), (RECORDING, 3.0)]


def test_a_beep_is_a_recorder_whatever_went_before() -> None:
    assert Line().wait(1).tone(Tone.BEEP).verdicts == [(RECORDING, 1.0)]
    assert Line().voice(1).tone(Tone.BEEP).verdicts == [(RECORDING, 1.0)]


@pytest.mark.parametrize("tone", [Tone.FAX_CALLING, Tone.FAX_ANSWER])
def test_a_fax_says_so(tone: Tone) -> None:
    assert Line().wait(1).tone(tone).wait(9).verdicts == [(FAX, 1.0)]
    assert Line().voice(3).tone(tone).verdicts == [(MACHINE, 2.0), (FAX, 3.0)]


def test_what_is_known_is_judged_no_further() -> None:
    line = Line().voice(0.5).quiet(1)
    assert line.tone(Tone.BEEP).tone(Tone.BUSY).voice(20).quiet(5).verdicts == [(HUMAN, 1.3)]
    assert line.judge.timer_at() is None


def test_a_timer_that_comes_early_changes_nothing_and_other_tones_tell_nothing() -> None:
    judge = AnswererJudge(AnswererPolicy(), now=0.0)
    judge.handle_timer(now=1.0)
    judge.tone(Tone.BUSY, now=1.0)
    assert (judge.poll(), judge.timer_at()) == (None, 2.5)


def test_every_tone_has_a_name_in_flows() -> None:
    assert set(FLOW_TONES) == set(Tone)


@given(st.lists(st.tuples(st.floats(0.13, 3), st.floats(0.13, 3)), max_size=40), st.booleans())
def test_everybody_is_judged_in_bounded_time_once_or_as_machine_and_recorder(
    talk: list[tuple[float, float]], beeps: bool
) -> None:
    line = Line()
    for voice, pause in talk:
        line.voice(voice).quiet(pause)
    if beeps:
        line.tone(Tone.BEEP)
    line.wait(60)
    verdicts = [verdict for verdict, _ in line.verdicts]
    assert verdicts in ([HUMAN], [RECORDING], [MACHINE, RECORDING])
    assert all(earlier <= later for (_, earlier), (_, later) in itertools.pairwise(line.verdicts))
    assert line.verdicts[0][1] <= 2.5 + 2.0 + 0.8 + NOTICED_S
