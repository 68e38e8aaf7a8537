from __future__ import annotations

import pytest

from bot.flows.actions import LlmAnswered, LlmCall, Understand, Understood
from bot.flows.rehearsal import Rehearsal
from tests.fakes.flows import FRAME, MONDAY_NOON, flow_of, rehearse

_MENU = """\
start: menu
states:
  menu: {say: Buyurun., menu: [{intent: book, dtmf: "1", then: end}, {intent: hours, dtmf: "2", then: hours}]}
  hours: {say: Doqquzdan altıya., then: menu}
"""


@pytest.mark.parametrize(
    ("said", "visited"),
    [
        ("Qəbula yazılmaq istəyirəm.", ["end"]),
        ("yazılım", ["end"]),
        ("İŞ SAATLARI", ["hours", "menu"]),
        ("GABULAYA ZULMAK STAYRAM", ["end"]),
        ("canlı insanla danışım", ["end"]),
        ("hava necədir", []),
        ("", []),
    ],
)
def test_a_menu_is_chosen_from_by_what_is_said(said: str, visited: list[str]) -> None:
    call = rehearse(_MENU)
    call.hear(said)
    assert call.visited == visited
    assert bool(visited) != (call.said == "Başa düşmədim.")


@pytest.mark.parametrize(
    ("key", "visited"), [("1", ["end"]), ("2", ["hours", "menu"]), ("0", ["end"]), ("5", []), ("#", [])]
)
def test_a_menu_is_chosen_from_by_keys(key: str, visited: list[str]) -> None:
    call = rehearse(_MENU)
    call.press(key)
    assert call.visited == visited
    assert bool(visited) != (call.said == "Başa düşmədim.")


def test_keys_that_no_telephone_of_the_caller_has_are_ignored() -> None:
    call = rehearse(_MENU)
    call.press("A")
    assert call.actions == []


def test_the_question_is_repeated_on_demand_by_word_or_key() -> None:
    call = rehearse(_MENU)
    call.hear("bir də deyin")
    assert call.said == "Buyurun."
    call.press("9")
    assert call.said == "Buyurun."


_NUMBER = """\
slots: {n: {ask: "Neçə?", type: number, max: 500, dtmf: {min: 2, max: 3, inter_digit_s: 3}}}
start: ask
states:
  ask: {collect: n, then: end}
"""


def test_digits_are_taken_at_most_or_at_the_finish_key_or_when_no_more_come() -> None:
    for keys, wait in (("250", False), ("25#", False), ("25", True)):
        call = rehearse(_NUMBER)
        call.press(keys)
        if wait:
            assert call.engine.timer_at() == call.now + 3.0
            call.wait()
        assert call.engine.slots["n"] in {"250", "25"}


def test_too_few_digits_in_time_are_not_understood() -> None:
    call = rehearse(_NUMBER)
    call.press("2")
    call.wait()
    assert call.said == "Başa düşmədim."


def test_digits_that_make_no_value_are_not_understood() -> None:
    call = rehearse(_NUMBER)
    call.press("999")
    assert call.said == "Başa düşmədim."


def test_erased_digits_leave_the_callers_silence_to_be_counted() -> None:
    call = rehearse(_NUMBER.replace("number, max: 500", "time"))
    call.press("12*")
    assert call.engine.timer_at() == call.now + 5.0
    call.wait()
    assert call.said == "Eşitmədim."


def test_speech_takes_the_place_of_digits() -> None:
    call = rehearse(_NUMBER)
    call.press("25")
    call.hear("otuz")
    assert call.engine.slots == {"n": "30"}


def test_a_finish_key_after_the_last_digit_is_no_answer_to_what_follows() -> None:
    text = """\
slots: {n: {ask: "Neçə?", type: number, dtmf: {min: 1, max: 3}, confirm: "{{ n }}?"}}
start: ask
states:
  ask: {collect: n, then: end}
"""
    call = rehearse(text)
    call.press("250#")
    assert call.said == "250?"
    call.press("1")
    assert call.engine.slots == {"n": "250"}


def test_a_slot_without_a_keypad_takes_its_own_keys_and_global_ones() -> None:
    text = """\
slots:
  ok: {ask: "Razısınız?", type: boolean}
  day: {ask: "Hansı gün?", type: enum, values: {cümə: {phrases: [cümə], dtmf: 5}, şənbə: [şənbə]}}
start: ok
states:
  ok: {collect: ok, then: day}
  day: {collect: day, then: end}
"""
    call = rehearse(text)
    call.press("3")
    assert call.said == "Başa düşmədim."
    call.press("1")
    assert (call.engine.slots, call.engine.state) == ({"ok": "true"}, "day")
    call.press("5")
    assert call.engine.slots == {"ok": "true", "day": "cümə"}
    call = rehearse(text)
    call.press("0")
    assert call.visited == ["end"]


_DAY = """\
slots: {day: {ask: "Hansı gün?", type: enum, values: {cümə: {describe: Friday, phrases: [cümə]}, şənbə: [şənbə]}}}
start: ask
states:
  ask: {collect: day, then: end}
"""


@pytest.mark.parametrize(
    ("chosen", "visited", "slots"), [("day=cümə", ["end"], {"day": "cümə"}), ("human", ["end"], {})]
)
def test_the_understanding_step_may_choose_a_value_or_a_global_intent(
    chosen: str, visited: list[str], slots: dict[str, str]
) -> None:
    asked: list[Understand] = []

    def understand(question: Understand) -> Understood:
        asked.append(question)
        return Understood(chosen)

    call = Rehearsal(flow_of(_DAY), at=MONDAY_NOON, understand=understand)
    call.start()
    call.hear("həftənin sonuna yaxın")
    assert [(c.name, c.describe) for c in asked[0].candidates][2:] == [("day=cümə", "Friday"), ("day=şənbə", "şənbə")]
    assert call.visited == visited
    assert call.engine.slots == slots


def test_an_exact_global_intent_comes_before_a_value_and_one_by_sound_after_it() -> None:
    text = """\
slots: {name: {ask: "Adınız?", type: text}}
start: ask
states:
  ask: {collect: name, then: end}
"""
    call = rehearse(text)
    call.hear("operator")
    assert call.engine.slots == {}
    call = rehearse(text)
    call.hear("aperatar")
    assert call.engine.slots == {"name": "aperatar"}
    call = rehearse(_DAY)
    call.hear("aperatar lazım")
    assert call.visited == ["end"]


def test_a_flow_for_the_language_model_asks_it_before_the_phrases_and_has_them_when_it_fails() -> None:
    flow = flow_of(_MENU, frame="engine: llm\n" + FRAME)
    call = Rehearsal(flow, at=MONDAY_NOON, llm=[LlmAnswered("", calls=(LlmCall("choose_hours"),))])
    call.start()
    call.hear("qəbula yazılmaq")
    assert call.visited == ["hours", "menu"]
    for alone in (Rehearsal(flow, at=MONDAY_NOON), Rehearsal(flow, at=MONDAY_NOON, llm=[])):
        alone.start()
        alone.hear("qəbula yazılmaq")
        assert alone.visited == ["end"]
