from __future__ import annotations

from bot.flows.hearing import candidates, enum_value, global_intents, hints, intents_of, said_exactly, said_nearly
from tests.fakes.flows import FRAME, flow_of

_FLOW = flow_of("""\
slots:
  day: {ask: "Hansı gün?", type: enum, values: {cümə: ["cüm*"], şənbə: [şənbə]}}
  n: {ask: "Neçə?", type: number}
start: menu
states:
  menu: {say: Buyurun., menu: [{intent: book, then: day}]}
  day: {collect: day, then: n}
  n: {collect: n, then: end}
""")
_MENU, _DAY, _NUMBER = (_FLOW.states[name] for name in ("menu", "day", "n"))


def test_a_menu_hears_its_own_intents_and_the_global_ones() -> None:
    assert set(intents_of(_FLOW, _MENU)) == {"book", "human", "again"}
    assert set(global_intents(_FLOW)) == {"human", "again"}
    assert said_exactly(_FLOW, _MENU, "operatora qoşun") == "human"
    assert said_exactly(_FLOW, _MENU, "aperatora goşun") is None
    assert said_nearly(_FLOW, _MENU, "aperatora goşun") == "human"
    assert said_nearly(_FLOW, _MENU, "iş saatları") is None


def test_an_intent_with_patterns_alone_gives_their_stems_as_examples() -> None:
    (day,) = (candidate for candidate in candidates(_FLOW, _DAY) if candidate.name == "day=cümə")
    assert day.phrases == ("cüm",)
    assert enum_value(day.name) == "cümə"
    assert enum_value("human") is None


def test_hints_leave_out_patterns_and_begin_with_what_the_state_asks_for() -> None:
    assert hints(_FLOW, _DAY)[0] == "şənbə"
    assert hints(_FLOW, _NUMBER) == ("operator", "canlı insan", "bir də deyin")


def test_what_is_said_alone_or_not_at_all_is_neither_a_hint_nor_left_to_the_understanding_step() -> None:
    frame = FRAME.replace(
        "intents:\n", "intents:\n  greeting: {describe: Greets., phrases: [=salam], global: true, repeat: true}\n"
    )
    flow = flow_of("start: menu\nstates:\n  menu: {say: Buyurun., menu: [{intent: book, then: end}]}\n", frame=frame)
    menu = flow.states["menu"]

    assert said_exactly(flow, menu, "Salam!") == "greeting"
    assert "greeting" not in {candidate.name for candidate in candidates(flow, menu)}
    assert not any("salam" in hint for hint in hints(flow, menu))
