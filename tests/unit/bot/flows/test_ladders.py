from __future__ import annotations

from bot.flows.actions import HangUp, HangUpReason, Say
from bot.flows.flow import Defaults
from bot.flows.rehearsal import Rehearsal
from tests.fakes.flows import MONDAY_NOON, flow_of, rehearse

_MENU = """\
start: menu
states:
  menu:
    say: Buyurun.
    menu: [{intent: book, then: end}]
    no_input: {after_s: 3, say: ["Alo?"], repeat: true, then: silent_end}
    no_match: {say: ["Necə?"], repeat: true, then: end}
"""


def test_a_states_own_ladder_comes_before_the_default_and_may_ask_again() -> None:
    call = rehearse(_MENU)
    assert call.engine.timer_at() == 3.0
    call.wait()
    assert call.said == "Alo? Buyurun."
    call.hear("nə")
    assert call.said == "Necə? Buyurun."
    call.hear("nə")
    assert call.visited == ["end"]


def test_silences_and_misses_are_counted_apart_and_anew_in_each_visit() -> None:
    call = rehearse(_MENU.replace("then: end}]", "then: back}]") + "  back: {say: Qayıdırıq., then: menu}\n")
    call.wait()
    call.hear("nə")
    assert call.engine.state == "menu"
    call.hear("qəbula yazılmaq")
    call.wait()
    assert call.said == "Alo? Buyurun."


def test_a_ladder_without_rungs_leads_on_at_once() -> None:
    call = rehearse(_MENU.replace('say: ["Alo?"], repeat: true, ', ""))
    call.wait()
    assert call.ended == HangUp(HangUpReason.NO_INPUT)


def test_without_a_ladder_the_call_is_ended_rather_than_left_hanging() -> None:
    bare = flow_of(_MENU).model_copy(update={"defaults": Defaults()})
    state = bare.states["menu"].model_copy(update={"no_match": None})
    bare = bare.model_copy(update={"states": {**bare.states, "menu": state}})
    call = Rehearsal(bare, at=MONDAY_NOON)
    call.start()
    call.hear("nə")
    assert call.actions == [HangUp(HangUpReason.ERROR)]
    assert Say("Texniki nasazlıq var.", interruptible=False, cacheable=True) not in call.actions
