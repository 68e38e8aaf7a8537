from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.loadtest.behaviour import Action, CallerMachine, HangUp, Manners, Phase, Press, Speak, Step, StepKind

SAY = Step(StepKind.SAY, clip="salam")
PRESS = Step(StepKind.PRESS, digits="2")


class Line:
    """Feeds a machine frames of 20 ms and gathers what it does, with times."""

    def __init__(self, *script: Step, repeat: bool = False, until_s: float = 1000.0) -> None:
        self.machine = CallerMachine(script, Manners(patience_s=0.5), repeat=repeat, until_s=until_s)
        self.now = 0.0
        self.done: list[tuple[float, Action]] = []

    def hear(self, seconds: float, *, loud: bool) -> Sequence[Action]:
        count = len(self.done)
        for _ in range(round(seconds / 0.02)):
            self.now = round(self.now + 0.02, 6)
            self.machine.hear(loud=loud, now=self.now)
            while (action := self.machine.poll()) is not None:
                self.done.append((self.now, action))
        return [action for _, action in self.done[count:]]

    def speak(self, seconds: float, *, loud: bool = False) -> None:
        self.hear(seconds, loud=loud)
        self.machine.spoken(now=self.now)


def test_it_speaks_only_after_the_bot_has_finished() -> None:
    line = Line(SAY)

    assert line.hear(2.0, loud=True) == []
    assert line.hear(0.4, loud=False) == []
    assert line.hear(0.2, loud=False) == [Speak("salam", 0)]


def test_a_pause_between_sentences_is_not_the_end() -> None:
    line = Line(SAY)
    line.hear(1.0, loud=True)
    line.hear(0.4, loud=False)
    line.hear(1.0, loud=True)

    assert line.done == []


def test_it_does_not_speak_before_the_bot_has_said_anything() -> None:
    assert Line(SAY).hear(5.0, loud=False) == []


def test_after_its_words_it_waits_for_the_answer_and_goes_on() -> None:
    line = Line(SAY, PRESS)
    line.hear(1.0, loud=True)
    line.hear(0.6, loud=False)
    line.speak(1.0)
    line.hear(0.8, loud=False)
    line.hear(1.0, loud=True)

    assert line.hear(0.6, loud=False) == [Press("2", 1)]
    assert [mark.kind for mark in line.machine.marks] == [StepKind.SAY, StepKind.PRESS]
    assert line.machine.unanswered == []


def test_an_answer_that_does_not_come_is_noted_and_the_script_goes_on() -> None:
    line = Line(SAY, PRESS)
    line.hear(1.0, loud=True)
    line.hear(0.6, loud=False)
    line.speak(1.0)

    assert line.hear(13.0, loud=False) == [Press("2", 1)]
    assert line.machine.unanswered == [1]


def test_a_barge_in_comes_so_long_into_the_bots_speech() -> None:
    line = Line(Step(StepKind.CUT_IN, clip="operator", after_s=0.8))
    line.hear(3.0, loud=False)
    assert line.hear(0.7, loud=True) == []
    assert line.hear(0.2, loud=True) == [Speak("operator", 0)]


def test_a_barge_in_waits_for_the_bots_next_speech_where_the_last_was_too_short() -> None:
    line = Line(Step(StepKind.COUGH, clip="cough", after_s=0.8))
    line.hear(0.5, loud=True)
    assert line.hear(1.0, loud=False) == []
    line.hear(0.7, loud=True)
    assert line.hear(0.2, loud=True) == [Speak("cough", 0)]


@pytest.mark.parametrize(("sounding_s", "stopped_s"), [(0.4, 0.4), (0.8, 0.0)])
def test_a_cough_after_a_barge_in_comes_so_long_into_the_answer(sounding_s: float, stopped_s: float) -> None:
    line = Line(Step(StepKind.CUT_IN, clip="dur", after_s=0.5), Step(StepKind.COUGH, clip="cough", after_s=0.5))
    line.hear(0.52 + sounding_s, loud=True)
    line.speak(stopped_s)  # the words have left, and the bot has stopped meanwhile, or not yet
    line.hear(0.6, loud=False)

    assert line.hear(0.4, loud=True) == []
    assert line.hear(0.2, loud=True) == [Speak("cough", 1)]


def test_silence_lasts_until_the_bot_speaks_of_its_own_accord() -> None:
    line = Line(Step(StepKind.SILENCE), PRESS)
    line.hear(1.0, loud=True)
    assert line.hear(20.0, loud=False) == []
    line.hear(1.0, loud=True)
    assert line.hear(0.6, loud=False) == [Press("2", 1)]


def test_it_hangs_up_in_mid_word() -> None:
    line = Line(Step(StepKind.HANG_UP, after_s=0.3))

    assert line.hear(0.4, loud=True) == [HangUp()]
    assert line.machine.phase is Phase.DONE
    assert line.hear(1.0, loud=True) == []


def test_it_hangs_up_politely_once_the_bot_has_finished() -> None:
    line = Line(Step(StepKind.HANG_UP))
    assert line.hear(1.0, loud=True) == []
    assert line.hear(0.6, loud=False) == [HangUp()]


def test_at_the_end_of_the_script_it_hears_the_bot_out_and_hangs_up() -> None:
    line = Line(PRESS)
    line.hear(1.0, loud=True)
    line.hear(0.6, loud=False)
    line.hear(1.0, loud=True)
    assert line.hear(0.6, loud=False) == [HangUp()]


def test_at_the_end_of_the_script_it_does_not_wait_for_ever() -> None:
    line = Line(PRESS)
    line.hear(1.0, loud=True)
    line.hear(0.6, loud=False)
    assert line.hear(12.1, loud=False) == [HangUp()]


def test_a_repeating_caller_starts_over_until_its_time_is_up() -> None:
    line = Line(PRESS, repeat=True, until_s=6.0)
    for _ in range(2):
        line.hear(1.0, loud=True)
        assert [type(action) for action in line.hear(0.6, loud=False)] == [Press]

    assert line.hear(3.0, loud=False) == [HangUp()]
    assert [(mark.step, mark.index) for mark in line.machine.marks] == [(0, 0), (1, 0)]


def test_words_that_leave_after_the_end_change_nothing() -> None:
    line = Line(Step(StepKind.HANG_UP, after_s=0.0))
    line.hear(0.1, loud=True)
    line.machine.spoken(now=1.0)

    assert line.machine.phase is Phase.DONE


def test_each_wait_lingers_for_a_part_of_its_own() -> None:
    parts = iter((0.0, 1.0, 0.5))
    line = Line(PRESS, repeat=True)
    line.machine = CallerMachine(
        [PRESS], Manners(patience_s=0.5, linger_s=1.0), repeat=True, until_s=99.0, dice=lambda: next(parts)
    )

    for _ in range(2):
        line.hear(1.0, loud=True)
        line.hear(2.0, loud=False)

    assert [at for at, _ in line.done] == [1.5, 5.5]
