"""Flows told who answered, and of the tones of machines."""

from __future__ import annotations

import pytest

from bot.flows.actions import Answerer, FlowTone, HangUp, Say
from bot.flows.rehearsal import Rehearsal
from tests.fakes.flows import MONDAY_NOON, flow_of

_WHO = """\
tones: {fax: faxed, busy: silent_end, beep: end}
start: who
states:
  who: {{answered: {{human: menu, {way}: machine, fax: silent_end}}}}
  menu: {{say: Buyurun., menu: [{{intent: book, dtmf: "1", then: end}}]}}
  machine: {{say: Mesaj., then: end}}
  faxed: {{say: Faks., then: end}}
"""


def _call(way: str = "recording", *, placed: bool = True) -> Rehearsal:
    call = Rehearsal(
        flow_of(_WHO.replace("{way}", way).replace("{{", "{").replace("}}", "}")), at=MONDAY_NOON, placed=placed
    )
    call.start()
    return call


def test_nothing_is_said_before_it_is_known_who_answered() -> None:
    call = _call()
    assert (call.said, call.engine.state) == ("", "who")
    call.answered_by(Answerer.HUMAN)
    assert (call.said, call.engine.state) == ("Salam, bu robotdur. Buyurun.", "menu")
    assert [action.interruptible for action in call.actions if isinstance(action, Say)] == [False, True]


def test_a_call_that_came_to_us_is_a_humans_at_once() -> None:
    call = _call(placed=False)
    assert (call.said, call.engine.state) == ("Salam, bu robotdur. Buyurun.", "menu")


def test_a_message_is_left_once_the_machine_records() -> None:
    call = _call()
    call.answered_by(Answerer.MACHINE)
    assert (call.said, call.engine.state) == ("", "who")
    call.answered_by(Answerer.RECORDING)
    assert call.said == "Salam, bu robotdur. Mesaj. Sağ olun."


@pytest.mark.parametrize("who", [Answerer.MACHINE, Answerer.RECORDING])
def test_a_machine_may_be_left_as_soon_as_it_is_known_for_one(who: Answerer) -> None:
    call = _call("machine")
    call.answered_by(who)
    assert call.said == "Mesaj. Sağ olun."


def test_a_fax_is_told_nothing() -> None:
    call = _call()
    call.answered_by(Answerer.FAX)
    assert (call.said, isinstance(call.ended, HangUp)) == ("", True)


def test_the_hello_of_whoever_answered_is_no_answer_to_a_question() -> None:
    call = _call()
    call.engine.caller_started(now=1.0)
    call.answered_by(Answerer.HUMAN)
    call.hear_late("alo")
    assert (call.said, call.engine.state) == ("", "menu")
    call.hear("alo")
    assert call.said == "Başa düşmədim."


def test_whoever_presses_or_speaks_before_is_not_heard() -> None:
    call = _call()
    call.press("1")
    call.hear("qəbula yazılmaq")
    assert (call.said, call.engine.state) == ("", "who")


def test_a_human_is_not_kept_waiting_for_a_judge_that_never_tells() -> None:
    call = _call()
    call.wait()
    assert call.engine.state == "menu"


def test_a_verdict_that_comes_later_changes_nothing() -> None:
    call = _call()
    call.answered_by(Answerer.HUMAN)
    call.answered_by(Answerer.RECORDING)
    assert (call.said, call.engine.state) == ("", "menu")


@pytest.mark.parametrize(("tone", "state"), [("fax", "faxed"), ("busy", "silent_end"), ("beep", "end")])
def test_a_tone_leads_away_from_wherever_the_call_is(tone: FlowTone, state: str) -> None:
    call = _call(placed=False)
    call.tone(tone)
    assert state in call.visited
    assert isinstance(call.ended, HangUp)
    call.tone(tone)
    assert call.actions == []


def test_a_tone_is_followed_once_and_one_without_a_way_never() -> None:
    flow = flow_of("tones: {beep: menu}\nstart: menu\nstates:\n  menu: {say: A, menu: [{intent: book, then: end}]}\n")
    call = Rehearsal(flow, at=MONDAY_NOON)
    assert not call.engine.noticed("beep", now=0.0)  # it has not begun
    call.start()
    call.tone("beep")
    assert call.visited == ["menu"]
    call.tone("beep")
    call.tone("out_of_service")
    assert call.visited == []


@pytest.mark.parametrize("tone", ["fax", "beep"])
def test_what_tells_who_answered_is_left_to_that_state(tone: FlowTone) -> None:
    call = _call()
    call.tone(tone)
    assert call.engine.state == "who"
    call.tone("busy")
    assert call.engine.state == "silent_end"
