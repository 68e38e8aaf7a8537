from __future__ import annotations

from bot.flows.actions import LlmFunction
from bot.flows.offers import Deed, offers
from tests.fakes.flows import flow_of

_FLOW = flow_of("""\
slots:
  gün: {ask: "Hansı gün?", type: date}
  rəng: {ask: "Hansı rəng?", type: enum, describe: The colour., values: {ağ: [ağ], qara: [qara]}}
  razı: {ask: "Razısınız?", type: boolean}
tools: {t: {describe: Look it up., http: {method: GET, url: "https://example.com/"}, on: {ok: end, error: end}}}
start: menu
states:
  menu: {say: A, menu: [{intent: book, then: ask}, {intent: hours, then: chat}], yes: ask, no: end}
  ask: {collect: gün, then: rəng}
  rəng: {collect: rəng, then: razı}
  razı: {collect: razı, then: chat}
  chat: {llm: {task: Talk., slots: [gün], tools: [t]}, then: end}
""")


def _names(state: str) -> list[str]:
    return list(offers(_FLOW, _FLOW.states[state]))


def test_a_menu_offers_its_choices_and_what_is_heard_everywhere_and_no_state() -> None:
    assert _names("menu") == [
        *("choose_book", "choose_hours", "answer_yes", "answer_no", "global_human", "global_again"),
    ]


def test_a_question_offers_its_slot_with_what_its_value_is() -> None:
    assert _names("ask") == ["set_gun", "global_human", "global_again"]
    assert "YYYY-MM-DD" in offers(_FLOW, _FLOW.states["ask"])["set_gun"].function.value
    colour = offers(_FLOW, _FLOW.states["rəng"])["set_reng"]
    assert (colour.deed, colour.name) == (Deed.FILL, "rəng")
    assert colour.function == LlmFunction("set_reng", "The colour.", "one of the values", ("ağ", "qara"))
    assert offers(_FLOW, _FLOW.states["razı"])["set_razi"].function.choices == ("true", "false")


def test_a_talk_offers_its_end_and_the_slots_and_tools_that_it_names() -> None:
    assert _names("chat") == ["finish", "set_gun", "call_t", "global_human", "global_again"]


def test_a_state_that_does_not_listen_offers_only_what_is_heard_everywhere() -> None:
    assert _names("end") == ["global_human", "global_again"]
