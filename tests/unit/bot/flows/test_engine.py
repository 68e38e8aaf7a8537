from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.flows.actions import (
    AskLlm,
    CallTool,
    FlowAction,
    HangUp,
    HangUpReason,
    LlmAnswered,
    LlmCall,
    Say,
    SlotFilled,
    StateEntered,
    ToolAnswered,
    Transfer,
    Understand,
    Understood,
)
from bot.flows.engine import FlowEngine
from bot.flows.flow import Flow
from tests.fakes.flows import FRAME, MONDAY_NOON, flow_of, rehearse

_MENU = """\
start: menu
states:
  menu:
    say: Buyurun.
    menu: [{intent: book, dtmf: "1", then: end}, {intent: hours, dtmf: "2", then: hours}]
  hours: {say: Doqquzdan altıya., then: menu}
"""

_TOOL = """\
slots: {n: {ask: "Neçə?", type: number}}
tools:
  check:
    http: {method: POST, url: "https://example.com/check", timeout_s: 2, retries: 1}
    send: {n: "{{ n }}"}
    save: {id: $.id, left: {path: "$.left", pii: true}}
    filler: Bir saniyə.
    on: {ok: done, conflict: ask, error: end}
start: ask
states:
  ask: {collect: n, then: call}
  call: {call: check}
  done: {say: "Nömrə {{ id }}.", then: end}
"""

_LLM = """\
start: chat
states:
  chat: {say: Soruşun., llm: {task: Answer questions., max_turns: 2}, then: end, on_fail: failed}
  failed: {say: Alınmadı., hangup: error}
"""


def _engine(flow: Flow, *, understanding: bool = False) -> FlowEngine:
    engine = FlowEngine(flow, variables={}, opened=lambda: MONDAY_NOON, understanding=understanding)
    engine.start(now=0.0)
    return engine


def _drain(engine: FlowEngine) -> list[FlowAction]:
    actions: list[FlowAction] = []
    while (action := engine.poll()) is not None:
        actions.append(action)
    return actions


def _listening(text: str, *, understanding: bool = False) -> FlowEngine:
    engine = _engine(flow_of(text), understanding=understanding)
    _drain(engine)
    engine.said(now=1.0)
    return engine


def test_a_call_begins_with_the_disclosure_which_cannot_be_interrupted() -> None:
    assert _drain(_engine(flow_of(_MENU))) == [
        Say("Salam, bu robotdur.", interruptible=False, cacheable=True),
        StateEntered("menu", None, "start"),
        Say("Buyurun.", interruptible=True, cacheable=True),
    ]


def test_a_call_without_a_disclosure_begins_with_its_first_state() -> None:
    flow = flow_of(_MENU, frame=FRAME.replace("disclosure: Salam, bu robotdur.\n", ""))
    assert _drain(_engine(flow))[0] == StateEntered("menu", None, "start")


def test_before_the_start_there_is_no_state_and_nothing_to_do() -> None:
    engine = FlowEngine(flow_of(_MENU), variables={}, opened=lambda: MONDAY_NOON)
    assert (engine.state, engine.timer_at(), engine.poll(), engine.hints, engine.interruptible) == (
        "",
        None,
        None,
        (),
        True,
    )
    engine.heard("qəbula yazılmaq", now=0.0)
    engine.pressed("1", now=0.0)
    engine.caller_started(now=0.0)
    engine.said(now=0.0)
    assert (engine.poll(), engine.timer_at()) == (None, None)


def test_a_second_start_is_ignored() -> None:
    engine = _engine(flow_of(_MENU))
    _drain(engine)
    engine.start(now=1.0)
    assert engine.poll() is None


def test_words_and_keys_lead_through_a_menu() -> None:
    engine = _listening(_MENU)
    engine.heard("İş saatlarınızı deyin", now=2.0)
    assert engine.state == "menu"
    assert StateEntered("hours", "menu", "intent hours") in _drain(engine)
    engine.pressed("1", now=3.0)
    assert _drain(engine) == [
        StateEntered("end", "menu", "key 1"),
        Say("Sağ olun.", interruptible=True, cacheable=True),
        HangUp(HangUpReason.NORMAL),
    ]


def test_after_the_end_nothing_is_done() -> None:
    engine = _listening(_MENU)
    engine.pressed("1", now=2.0)
    _drain(engine)
    engine.heard("qəbula yazılmaq", now=3.0)
    engine.pressed("2", now=3.0)
    engine.caller_started(now=3.0)
    engine.said(now=3.0)
    engine.transfer_failed(now=3.0)
    engine.tool_answered(0, ToolAnswered("ok"), now=3.0)
    engine.understood(0, Understood("book"), now=3.0)
    engine.llm_answered(0, LlmAnswered("x"), now=3.0)
    engine.handle_timer(now=99.0)
    assert (engine.poll(), engine.timer_at()) == (None, None)


def test_the_no_input_clock_starts_when_all_is_said() -> None:
    engine = _engine(flow_of(_MENU))
    _drain(engine)
    assert engine.timer_at() is None
    engine.said(now=10.0)
    assert engine.timer_at() == 15.0


def test_the_no_input_clock_stops_while_the_caller_speaks_and_starts_again_after_the_answer_is_said() -> None:
    engine = _listening(_MENU)
    engine.caller_started(now=3.0)
    assert engine.timer_at() == 33.0  # only the limit on a turn that never ends
    engine.said(now=3.5)  # what was being said is cut by the caller
    assert engine.timer_at() == 33.0
    engine.heard("nə bilim", now=5.0)
    assert _drain(engine) == [Say("Başa düşmədim.", interruptible=True, cacheable=True)]
    assert engine.timer_at() is None
    engine.said(now=7.0)
    assert engine.timer_at() == 12.0


def test_a_second_said_does_not_put_the_deadline_off() -> None:
    engine = _listening(_MENU)
    engine.said(now=4.0)
    assert engine.timer_at() == 6.0


def test_speech_that_never_becomes_text_is_not_understood() -> None:
    engine = _listening(_MENU)
    engine.caller_started(now=2.0)
    engine.handle_timer(now=32.0)
    assert [type(action) for action in _drain(engine)] == [Say]
    engine.said(now=33.0)
    assert engine.timer_at() == 38.0


def test_a_timer_that_is_called_early_does_nothing() -> None:
    engine = _listening(_MENU)
    engine.handle_timer(now=5.9)
    assert engine.poll() is None


def test_a_caller_who_says_nothing_climbs_the_ladder_and_is_rung_off() -> None:
    call = rehearse(_MENU)
    call.wait()
    assert call.said == "Eşitmədim."
    call.wait()
    assert call.said == "Hələ də eşitmirəm."
    call.wait()
    assert call.ended == HangUp(HangUpReason.NO_INPUT)


def test_silence_without_end_ends_the_call_whatever_the_ladders_say() -> None:
    text = """\
start: menu
states:
  menu:
    say: Buyurun.
    menu: [{intent: book, then: end}]
    no_input: {after_s: 5, then: again}
  again: {say: Bir də., then: menu}
"""
    call = rehearse(text)
    for _ in range(13):
        assert call.ended is None
        call.wait()
    assert call.ended == HangUp(HangUpReason.NO_INPUT)


def test_a_ring_of_silent_states_ends_in_an_error_that_is_told() -> None:
    text = """\
start: a
variables: {x: "1"}
tools: {t: {http: {method: GET, url: "https://example.com/"}, on: {ok: a, error: a}}}
states:
  a: {decide: [{if: "x == '1'", then: call}, {else: end}]}
  call: {call: t}
"""
    call = rehearse(text, tools={"t": [ToolAnswered("error")]})
    assert call.ended == HangUp(HangUpReason.ERROR)
    assert call.said.endswith("Texniki nasazlıq var.")


def test_a_prompt_that_must_be_heard_makes_the_engine_deaf_until_it_is_said() -> None:
    engine = _engine(flow_of(_MENU.replace("say: Buyurun.", "say: Buyurun.\n    barge_in: false")))
    assert not engine.interruptible
    assert _drain(engine)[-1] == Say("Buyurun.", interruptible=False, cacheable=True)
    engine.heard("qəbula yazılmaq", now=1.0)
    assert (engine.poll(), engine.timer_at()) == (None, None)
    engine.pressed("2", now=1.5)  # keys are meant
    assert _drain(engine)
    engine.said(now=2.0)
    engine.heard("qəbula yazılmaq", now=3.0)
    assert engine.state == "end"


def test_hints_are_the_phrases_of_the_state_and_never_while_an_answer_is_awaited() -> None:
    text = """\
slots:
  day:
    ask: Hansı gün?
    type: enum
    values: {cümə: [cümə günü], şənbə: [şənbə günü, "şən*"]}
    confirm: "{{ day }}, düzdür?"
start: menu
states:
  menu: {say: Buyurun., menu: [{intent: book, then: day}]}
  day: {collect: day, then: end}
"""
    engine = _listening(text)
    assert engine.hints == ("qəbula yazılmaq", "operator", "canlı insan", "bir də deyin")
    engine.heard("qəbula yazılmaq", now=2.0)
    assert engine.hints[:2] == ("cümə günü", "şənbə günü")
    engine.heard("cümə günü", now=3.0)
    assert engine.hints == ()


def test_variables_are_the_flows_own_and_may_be_set_by_the_call() -> None:
    text = """\
variables: {clinic: Şəfa, operator: ""}
start: a
states:
  a: {say: "{{ clinic }}{{ other }}", then: end}
""".replace("{{ other }}", "")
    call = rehearse(text, variables={"clinic": "Həyat", "unknown": "x"})
    assert "Həyat" in call.said
    assert call.engine.slots == {}


def test_a_tool_is_called_with_rendered_arguments_and_its_answer_is_kept() -> None:
    call = rehearse(_TOOL, tools={"check": [ToolAnswered("ok", {"id": "A17", "left": 3})]})
    call.hear("beş")
    (tool_call,) = call.calls
    assert (tool_call.tool, tool_call.arguments) == ("check", {"n": "5"})
    assert call.said == "Bir saniyə. Nömrə A17. Sağ olun."
    assert SlotFilled("left", "3", pii=True) in call.actions
    assert call.engine.slots == {"n": "5", "id": "A17", "left": "3"}


def test_a_tool_without_a_filler_is_called_in_silence() -> None:
    call = rehearse(_TOOL.replace("    filler: Bir saniyə.\n", ""), tools={"check": [ToolAnswered("ok", {"id": "A"})]})
    call.hear("beş")
    assert call.said == "Nömrə A. Sağ olun."


def test_a_question_without_words_is_repeated_in_silence() -> None:
    call = rehearse(_LLM.replace("say: Soruşun., ", ""))
    call.hear("bir də deyin")
    assert call.actions == []


def test_a_status_leads_where_the_tool_or_the_state_says_and_an_unknown_one_to_error() -> None:
    call = rehearse(_TOOL, tools={"check": [ToolAnswered("conflict", {"id": "old"}), ToolAnswered("strange")]})
    call.hear("beş")
    assert (call.engine.state, call.engine.slots["id"]) == ("ask", "old")
    call.hear("altı")
    assert call.visited == ["call", "end"]
    assert "id" not in call.engine.slots
    own = _TOOL.replace("{call: check}", "{call: check, on: {conflict: end}}")
    call = rehearse(own, tools={"check": [ToolAnswered("conflict")]})
    call.hear("beş")
    assert call.visited == ["call", "end"]


def test_while_a_tool_works_the_caller_is_not_heard_and_its_answer_is_not_awaited_for_ever() -> None:
    engine = _listening(_TOOL)
    engine.heard("beş", now=2.0)
    (request,) = (action.request_id for action in _drain(engine) if isinstance(action, CallTool))
    engine.said(now=3.0)
    engine.caller_started(now=3.0)
    engine.heard("altı", now=3.5)
    engine.pressed("1", now=3.5)
    assert engine.poll() is None
    assert engine.timer_at() == 2.0 + (2.0 + 1.0) * 2 + 2.0
    engine.handle_timer(now=10.0)
    assert engine.state == "end"
    _drain(engine)
    engine.tool_answered(request, ToolAnswered("ok"), now=11.0)
    assert engine.poll() is None


def test_a_caller_who_begins_to_speak_while_a_tool_works_is_still_awaited_afterwards() -> None:
    engine = _listening(_TOOL)
    engine.heard("beş", now=2.0)
    (request,) = (action.request_id for action in _drain(engine) if isinstance(action, CallTool))
    engine.caller_started(now=3.0)  # a cough: no text ever comes of it
    engine.tool_answered(request, ToolAnswered("conflict"), now=4.0)
    _drain(engine)
    engine.said(now=5.0)
    assert engine.timer_at() == 33.0
    engine.handle_timer(now=33.0)
    assert [type(action) for action in _drain(engine)] == [Say]


def test_an_answer_to_an_older_question_is_ignored() -> None:
    engine = _listening(_TOOL)
    engine.heard("beş", now=2.0)
    (request,) = (action.request_id for action in _drain(engine) if isinstance(action, CallTool))
    engine.tool_answered(request - 1, ToolAnswered("ok"), now=3.0)
    engine.understood(request, Understood("human"), now=3.0)
    engine.llm_answered(request, LlmAnswered("x"), now=3.0)
    assert engine.state == "call"


def test_what_no_rule_understands_goes_to_the_understanding_step() -> None:
    engine = _listening(_MENU, understanding=True)
    engine.heard("həkim mənə baxsın", now=2.0)
    (understand,) = _drain(engine)
    assert isinstance(understand, Understand)
    assert understand.text == "həkim mənə baxsın"
    assert [candidate.name for candidate in understand.candidates] == ["book", "hours", "human", "again"]
    assert understand.candidates[0].describe == "Wants to book."
    assert understand.candidates[0].phrases == ("qəbula yazılmaq",)
    engine.understood(understand.request_id, Understood("book", 0.9), now=2.5)
    assert engine.state == "end"


@pytest.mark.parametrize("intent", [None, "nonsense", "day=x"])
def test_an_intent_that_was_no_candidate_is_no_match(intent: str | None) -> None:
    engine = _listening(_MENU, understanding=True)
    engine.heard("həkim mənə baxsın", now=2.0)
    (understand,) = _drain(engine)
    assert isinstance(understand, Understand)
    engine.understood(understand.request_id, Understood(intent), now=2.5)
    assert _drain(engine) == [Say("Başa düşmədim.", interruptible=True, cacheable=True)]


def test_understanding_that_does_not_come_is_no_match_and_late_is_ignored() -> None:
    engine = _listening(_MENU, understanding=True)
    engine.heard("həkim mənə baxsın", now=2.0)
    (understand,) = _drain(engine)
    assert isinstance(understand, Understand)
    engine.handle_timer(now=10.0)
    assert [type(action) for action in _drain(engine)] == [Say]
    engine.understood(understand.request_id, Understood("book"), now=11.0)
    assert engine.state == "menu"


def test_while_understanding_works_another_turn_or_a_key_comes_first() -> None:
    engine = _listening(_MENU, understanding=True)
    engine.heard("həkim mənə baxsın", now=2.0)
    engine.heard("", now=2.1)  # noise changes nothing
    assert len(_drain(engine)) == 1
    engine.heard("iş saatları", now=2.5)
    assert StateEntered("hours", "menu", "intent hours") in _drain(engine)
    engine.heard("həkim mənə baxsın", now=3.0)
    (understand,) = _drain(engine)
    assert isinstance(understand, Understand)
    engine.pressed("1", now=3.5)
    assert engine.state == "end"
    _drain(engine)
    engine.understood(understand.request_id, Understood("hours"), now=4.0)
    assert engine.poll() is None


def test_the_language_model_talks_for_a_bounded_number_of_turns() -> None:
    call = rehearse(_LLM, llm=[LlmAnswered("Bəli, var."), LlmAnswered("Sağlıqla.")])
    call.hear("qiymətlər necədir")
    assert (call.said, call.engine.state) == ("Bəli, var.", "chat")
    call.hear("bəs güzəşt")
    assert call.said == "Sağlıqla. Sağ olun."
    assert call.ended == HangUp(HangUpReason.NORMAL)


def test_the_language_model_may_finish_early_or_fail() -> None:
    done = rehearse(_LLM, llm=[LlmAnswered("Oldu.", done=True)])
    done.hear("qiymət")
    assert done.ended == HangUp(HangUpReason.NORMAL)
    failed = rehearse(_LLM)
    failed.hear("qiymət")
    assert (failed.said, failed.ended) == ("Alınmadı.", HangUp(HangUpReason.ERROR))
    without = rehearse(_LLM.replace(", on_fail: failed", ""), llm=[LlmAnswered("", failed=True)])
    without.hear("qiymət")
    assert without.engine.state == "end"


def test_what_the_caller_adds_goes_into_the_question_to_the_language_model() -> None:
    engine = _listening(_LLM)
    engine.heard("qiymətlər", now=2.0)
    engine.heard("uşaqlar üçün", now=3.0)
    engine.heard("", now=3.1)
    first, second = _drain(engine)
    assert isinstance(first, AskLlm)
    assert isinstance(second, AskLlm)
    assert (first.text, second.text, second.task) == ("qiymətlər", "qiymətlər uşaqlar üçün", "Answer questions.")
    engine.llm_answered(first.request_id, LlmAnswered("köhnə"), now=4.0)
    assert engine.poll() is None
    engine.llm_answered(second.request_id, LlmAnswered("təzə"), now=4.0)
    assert _drain(engine) == [Say("təzə", interruptible=True, cacheable=False)]


def test_a_language_model_that_does_not_answer_has_failed() -> None:
    engine = _listening(_LLM)
    engine.heard("qiymətlər", now=2.0)
    engine.handle_timer(now=32.0)
    assert engine.state == "failed"


def test_in_talk_with_the_language_model_global_intents_and_keys_are_heard_and_noise_is_not() -> None:
    engine = _listening(_LLM)
    engine.heard("", now=2.0)
    engine.pressed("5", now=2.0)
    assert _drain(engine) == []
    assert engine.timer_at() == 7.0
    engine.heard("operatora qoşun", now=3.0)
    assert engine.state == "end"
    engine = _listening(_LLM)
    engine.pressed("0", now=2.0)
    assert engine.state == "end"


_TRANSFER = """\
variables: {operator: "sip:operator@pbx.local"}
start: go
states:
  go: {say: Qoşuram., transfer: {to: "{{ operator }}", on_fail: sorry}}
  sorry: {say: Operator məşğuldur., then: end}
"""


def test_a_transfer_goes_to_the_flows_own_target_and_its_failure_goes_on() -> None:
    call = rehearse(_TRANSFER)
    assert call.ended == Transfer("sip:operator@pbx.local")
    call.hear("alo")
    assert call.actions == []
    call.transfer_failed()
    assert call.said == "Operator məşğuldur. Sağ olun."


def test_a_transfer_without_a_target_fails_at_once() -> None:
    call = rehearse(_TRANSFER, variables={"operator": ""})
    assert call.ended == HangUp(HangUpReason.NORMAL)
    assert "Operator məşğuldur." in call.said


def test_closed_is_decided_by_the_wall_clock() -> None:
    text = """\
start: gate
states:
  gate: {decide: [{if: "open()", then: yes}, {else: no}]}
  yes: {say: Açıqdır., then: end}
  no: {say: Bağlıdır., then: end}
"""
    assert "Açıqdır." in rehearse(text).said
    assert "Bağlıdır." in rehearse(text, at=datetime(2026, 11, 22, 12, 0)).said  # noqa: DTZ001


_WORDS = ("", "qəbula yazılmaq", "beş", "bəli", "xeyr", "operator", "bir də deyin", "nə")
_CALLS = ("choose_book", "set_n", "call_check", "finish", "global_human", "global_again", "goto")
_Event = Callable[[FlowEngine, int, float], None]


def _event(kind: str, value: str) -> _Event:
    events: dict[str, _Event] = {
        "heard": lambda engine, _, now: engine.heard(value, now=now),
        "pressed": lambda engine, _, now: engine.pressed(value, now=now),
        "started": lambda engine, _, now: engine.caller_started(now=now),
        "said": lambda engine, _, now: engine.said(now=now),
        "time": lambda engine, _, now: engine.handle_timer(now=now),
        "understood": lambda engine, request, now: engine.understood(request, Understood(value), now=now),
        "tool": lambda engine, request, now: engine.tool_answered(request, ToolAnswered(value), now=now),
        "llm": lambda engine, request, now: engine.llm_answered(request, LlmAnswered(value), now=now),
        "call": lambda engine, request, now: engine.llm_answered(
            request, LlmAnswered("", calls=(LlmCall(value, "7"),)), now=now
        ),
        "clause": lambda engine, request, _: engine.llm_said(request, value),
        "failed": lambda engine, _, now: engine.transfer_failed(now=now),
    }
    return events[kind]


_EVENTS = st.one_of(
    st.tuples(st.just("heard"), st.sampled_from(_WORDS)),
    st.tuples(st.just("pressed"), st.sampled_from("0123456789*#A")),
    st.tuples(st.just("understood"), st.sampled_from(["book", "human", "x"])),
    st.tuples(st.just("tool"), st.sampled_from(["ok", "conflict", "error"])),
    st.tuples(st.just("llm"), st.sampled_from(["", "Salam"])),
    st.tuples(st.just("clause"), st.sampled_from(["", "Bəli,"])),
    st.tuples(st.just("call"), st.sampled_from(_CALLS)),
    st.tuples(st.sampled_from(["started", "said", "time", "failed"]), st.just("")),
)
_EVERYTHING = """\
variables: {operator: "sip:o@example.com"}
slots:
  n:
    ask: Neçə?
    type: number
    dtmf: {min: 1, max: 3}
    confirm: "{{ n }}?"
    rejections: [{if: n > 500, say: Çoxdur.}]
tools: {check: {http: {method: GET, url: "https://example.com/"}, on: {ok: chat, conflict: ask, error: go}}}
start: menu
states:
  menu: {say: Buyurun., menu: [{intent: book, dtmf: "1", then: ask}]}
  ask: {collect: n, then: call}
  call: {call: check}
  chat: {llm: {task: Talk., tools: [check], max_turns: 2}, then: menu}
  go: {transfer: {to: "{{ operator }}", on_fail: menu}}
"""


_EVERYTHING_FLOWS = {engine: flow_of(_EVERYTHING, frame=f"engine: {engine}\n{FRAME}") for engine in ("hybrid", "llm")}


@given(st.lists(_EVENTS, max_size=40), st.booleans(), st.booleans(), st.sampled_from(["hybrid", "llm"]))
def test_no_order_of_events_breaks_the_engine_or_leaves_the_caller_waiting(
    events: list[tuple[str, str]], understanding: bool, llm: bool, kind_of_engine: str
) -> None:
    engine = FlowEngine(
        _EVERYTHING_FLOWS[kind_of_engine],
        variables={},
        opened=lambda: MONDAY_NOON,
        understanding=understanding,
        llm=llm,
    )
    engine.start(now=0.0)
    _drain(engine)
    now, request, ended, speaking = 0.0, 0, False, False
    for kind, value in [*events, ("said", "")]:
        now += 0.5
        if kind == "time":
            now = max(now, engine.timer_at() or now)
        _event(kind, value)(engine, request, now)
        speaking = speaking and kind != "said"
        for action in _drain(engine):
            assert not ended
            request = getattr(action, "request_id", request)
            ended = isinstance(action, HangUp)
            speaking = speaking or isinstance(action, Say)
    gone = ended or engine.state == "go"
    assert gone or speaking or engine.timer_at() is not None
