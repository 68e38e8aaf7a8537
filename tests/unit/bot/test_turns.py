from __future__ import annotations

import pytest

from bot.turns import (
    CallerPaused,
    CallerStarted,
    Interrupt,
    TurnEnded,
    TurnEvent,
    TurnMachine,
    TurnPolicy,
    TurnState,
)

POLICY = TurnPolicy(end_of_turn_ms=700, recognition_timeout_ms=4000)


def drain(machine: TurnMachine) -> list[TurnEvent]:
    events: list[TurnEvent] = []
    while (event := machine.poll()) is not None:
        events.append(event)
    return events


def paused(at: float = 2.0) -> TurnMachine:
    machine = TurnMachine(POLICY)
    machine.voice_started(began_at=1.0)
    machine.voice_stopped(ended_at=at)
    assert drain(machine) == [CallerStarted(), CallerPaused()]
    return machine


def test_a_sufficient_text_ends_the_turn_at_once() -> None:
    machine = paused()

    machine.recognised("iş saatları", sufficient=True, now=2.3)

    assert drain(machine) == [TurnEnded("iş saatları", 2.0, 2.3, sufficed=True)]
    assert machine.state is TurnState.LISTENING


def test_an_insufficient_text_waits_for_the_end_of_patience() -> None:
    machine = paused()

    machine.recognised("mən", sufficient=False, now=2.3)

    assert drain(machine) == []
    assert machine.timer_at() == 2.7
    machine.handle_timer(now=2.6)
    assert drain(machine) == []
    machine.handle_timer(now=2.7)
    assert drain(machine) == [TurnEnded("mən", 2.0, 2.3, sufficed=False)]


def test_a_text_that_comes_after_patience_has_ended_ends_the_turn() -> None:
    machine = paused()

    machine.recognised("mən", sufficient=False, now=2.9)

    assert [type(e) for e in drain(machine)] == [TurnEnded]


def test_a_caller_who_goes_on_keeps_the_turn_and_its_beginning() -> None:
    machine = paused()
    machine.recognised("mən", sufficient=False, now=2.3)

    machine.voice_started(began_at=2.5)
    machine.voice_stopped(ended_at=3.0)
    machine.recognised("mən həkimə yazılmaq istəyirəm", sufficient=True, now=3.3)

    assert drain(machine) == [
        CallerPaused(),
        TurnEnded("mən həkimə yazılmaq istəyirəm", 3.0, 3.3, sufficed=True),
    ]


def test_a_turn_that_is_never_recognised_ends_unintelligible() -> None:
    machine = paused()

    assert machine.timer_at() == 6.0
    machine.handle_timer(now=6.0)

    assert drain(machine) == [TurnEnded("", 2.0, None, sufficed=False)]


def test_a_text_of_an_earlier_pause_does_not_end_the_next_one_in_the_place_of_its_own() -> None:
    machine = paused(at=2.0)
    machine.voice_started(began_at=2.2)
    machine.recognised("sıfır əlli", sufficient=False, now=2.21)  # asked for at 2.0, and told as he went on
    machine.voice_stopped(ended_at=4.0)
    machine.handle_timer(now=4.9)  # a slow recogniser has yet to answer
    assert drain(machine) == [CallerPaused()]

    machine.recognised("sıfır əlli beş", sufficient=False, now=5.0)
    assert drain(machine) == [TurnEnded("sıfır əlli beş", 4.0, 5.0, sufficed=False)]


def test_text_during_speech_is_kept_where_texts_add_up_but_does_not_end_the_turn() -> None:
    machine = TurnMachine(POLICY, texts_add_up=True)
    machine.voice_started(began_at=1.0)
    machine.recognised("salam", sufficient=True, now=1.5)

    assert drain(machine) == [CallerStarted()]
    machine.voice_stopped(ended_at=2.0)
    assert machine.timer_at() == 2.7


def test_a_cough_after_a_text_leaves_the_text_where_no_other_comes_for_it() -> None:
    machine = TurnMachine(POLICY, texts_add_up=True)
    machine.voice_started(began_at=1.0)
    machine.voice_stopped(ended_at=2.0)
    machine.recognised("mən həkimə yazılmaq istəyirəm", sufficient=False, now=2.3)
    machine.voice_started(began_at=2.5)
    machine.voice_stopped(ended_at=2.7)
    machine.handle_timer(now=3.5)  # a service has more time than that for what may have been words
    assert drain(machine) == [CallerStarted(), CallerPaused(), CallerPaused()]

    machine.handle_timer(now=6.7)
    assert drain(machine) == [TurnEnded("mən həkimə yazılmaq istəyirəm", 2.7, None, sufficed=False)]
    machine.voice_started(began_at=8.0)
    machine.voice_stopped(ended_at=9.0)
    machine.handle_timer(now=13.0)
    assert drain(machine)[-1] == TurnEnded("", 9.0, None, sufficed=False)


def test_speaking_over_the_bot_interrupts_it() -> None:
    machine = TurnMachine(POLICY)
    machine.bot_started(interruptible=True)

    machine.voice_started(began_at=1.0)

    assert drain(machine) == [CallerStarted(), Interrupt()]
    machine.bot_stopped(now=1.1)
    machine.voice_stopped(ended_at=2.0)
    machine.recognised("", sufficient=False, now=5.0)
    assert drain(machine)[-1] == TurnEnded("", 2.0, 5.0, sufficed=False)


def test_speech_over_a_protected_announcement_is_not_a_turn() -> None:
    machine = TurnMachine(POLICY)
    machine.bot_started(interruptible=False)

    machine.voice_started(began_at=1.0)
    assert machine.state is TurnState.MUTED
    machine.voice_started(began_at=1.2)
    machine.voice_stopped(ended_at=1.5)

    assert drain(machine) == []
    assert machine.state is TurnState.LISTENING


def test_a_caller_still_talking_when_the_announcement_ends_has_the_floor() -> None:
    machine = TurnMachine(POLICY)
    machine.bot_started(interruptible=False)
    machine.voice_started(began_at=1.0)

    machine.bot_stopped(now=1.4)

    assert drain(machine) == [CallerStarted()]
    assert machine.state is TurnState.CALLER


def test_text_and_silence_outside_a_turn_are_ignored() -> None:
    machine = TurnMachine(POLICY)

    machine.recognised("gec", sufficient=True, now=1.0)
    machine.voice_stopped(ended_at=1.0)
    machine.handle_timer(now=99.0)
    machine.bot_stopped(now=99.0)

    assert drain(machine) == []
    assert machine.timer_at() is None


def test_a_second_start_within_a_turn_changes_nothing() -> None:
    machine = TurnMachine(POLICY)
    machine.voice_started(began_at=1.0)
    machine.voice_started(began_at=1.2)

    assert drain(machine) == [CallerStarted()]
    assert machine.began_at == 1.0


def test_a_key_interrupts_what_may_be_interrupted() -> None:
    machine = TurnMachine(POLICY)
    machine.key_pressed()
    machine.bot_started(interruptible=False)
    machine.key_pressed()
    assert drain(machine) == []

    machine.bot_started(interruptible=True)
    machine.key_pressed()

    assert drain(machine) == [Interrupt()]


def test_a_pause_that_sounds_finished_ends_the_turn_with_its_text() -> None:
    machine = paused()
    machine.judged(finished=True, now=2.25)
    assert drain(machine) == []

    machine.recognised("mən sabah gəlirəm", sufficient=False, now=2.3)

    assert drain(machine) == [TurnEnded("mən sabah gəlirəm", 2.0, 2.3, sufficed=False)]


def test_a_judgement_after_the_text_ends_the_turn_too() -> None:
    machine = paused()
    machine.recognised("mən sabah gəlirəm", sufficient=False, now=2.3)

    machine.judged(finished=True, now=2.35)

    assert [type(e) for e in drain(machine)] == [TurnEnded]


def test_a_pause_that_sounds_unfinished_gives_the_caller_more_time() -> None:
    machine = paused()
    machine.judged(finished=False, now=2.25)

    machine.recognised("mən", sufficient=False, now=2.9)

    assert drain(machine) == []
    assert machine.timer_at() == 3.6
    machine.handle_timer(now=3.6)
    assert [type(e) for e in drain(machine)] == [TurnEnded]


def test_what_was_judged_unfinished_ends_when_its_time_is_over_however_late_the_judgement() -> None:
    machine = paused()
    machine.recognised("mən", sufficient=False, now=2.3)

    machine.judged(finished=False, now=3.6)

    assert [type(e) for e in drain(machine)] == [TurnEnded]


def test_a_judgement_of_a_pause_that_is_over_is_ignored() -> None:
    machine = paused()
    machine.judged(finished=True, now=2.1)
    machine.voice_started(began_at=2.2)
    machine.judged(finished=True, now=2.25)
    machine.voice_stopped(ended_at=2.5)

    machine.recognised("mən həkimə", sufficient=False, now=2.6)

    assert drain(machine) == [CallerPaused()]


def test_a_fast_recogniser_does_not_cut_into_a_short_pause() -> None:
    machine = paused()

    machine.recognised("iş saatları", sufficient=True, now=2.15)

    assert drain(machine) == []
    assert machine.timer_at() == 2.224
    machine.handle_timer(now=2.224)
    assert drain(machine) == [TurnEnded("iş saatları", 2.0, 2.15, sufficed=True)]


def faded(at: float = 2.0) -> TurnMachine:
    machine = TurnMachine(POLICY)
    machine.voice_started(began_at=1.0)
    machine.sound_faded(ended_at=at)
    assert drain(machine) == [CallerStarted()]
    return machine


def test_a_whole_answer_ends_its_turn_a_moment_after_its_sound_though_a_voice_is_still_heard() -> None:
    machine = faded()

    machine.recognised("iş saatlarınız necədir", sufficient=True, whole=True, now=2.1)

    assert drain(machine) == []
    assert machine.timer_at() == 2.2
    machine.handle_timer(now=2.2)
    assert drain(machine) == [TurnEnded("iş saatlarınız necədir", 2.0, 2.1, sufficed=True)]
    machine.voice_stopped(ended_at=2.0)  # the speech model has heard its pause by now
    assert drain(machine) == []
    assert machine.state is TurnState.LISTENING


@pytest.mark.parametrize(("sufficient", "until"), [(True, 2.224), (False, 2.7)])
def test_any_other_text_waits_for_the_voice_to_stop(sufficient: bool, until: float) -> None:
    machine = faded()

    machine.recognised("sabah", sufficient=sufficient, now=2.1)
    assert machine.timer_at() is None
    machine.handle_timer(now=4.0)
    assert drain(machine) == []

    machine.voice_stopped(ended_at=2.0)
    assert drain(machine) == [CallerPaused()]
    assert machine.timer_at() == until


def test_a_sound_that_returns_takes_the_text_back() -> None:
    machine = faded()
    machine.recognised("iş saatları necədir", sufficient=True, whole=True, now=2.1)

    machine.sound_returned()
    machine.handle_timer(now=3.0)

    assert drain(machine) == []
    assert machine.state is TurnState.CALLER
    machine.voice_stopped(ended_at=4.0)
    assert machine.timer_at() == 8.0  # there is no text yet


def test_the_sound_means_nothing_while_nobody_has_the_floor_or_the_voice_has_stopped() -> None:
    machine = TurnMachine(POLICY)
    machine.sound_faded(ended_at=1.0)
    machine.sound_returned()
    assert machine.state is TurnState.LISTENING

    machine = paused()
    machine.sound_faded(ended_at=2.1)
    machine.sound_returned()
    assert machine.state is TurnState.PAUSED


def test_a_whole_answer_that_comes_after_the_voice_has_stopped_waits_no_longer() -> None:
    machine = paused()

    machine.recognised("iş saatları necədir", sufficient=True, whole=True, now=2.2)

    assert [type(e) for e in drain(machine)] == [TurnEnded]
