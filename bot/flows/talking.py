"""The language model's part: what it is asked, and what is made of its answer.

It may speak, and call the functions of the state (`bot.flows.offers`). A function that is not of the state, and a
value that its slot does not take, change nothing: whatever a caller talks the model into, it can do no more than
the caller himself could.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from bot.flows import calling, collecting
from bot.flows.actions import AskLlm, LlmAnswered, LlmCall, LlmTurn, ToolAnswered
from bot.flows.ladders import no_match
from bot.flows.offers import Deed, Offer, choices_of, offers
from bot.flows.run import Phase, Run, Step
from bot.flows.states import CollectState, LlmState, MenuState, State
from bot.flows.values import value_from_speech

LIMIT_S = 30.0  # of one answer, whatever the client does
_MOST_ROUNDS = 4  # of functions called for one turn of the caller
_MOST_LINES = 40  # of the talk that is sent along
_ROUTER = "Find out which of the functions does what the caller wants, and call it. Ask back, briefly, if none does."
_COLLECT = "Find out what the caller answers, and call {function} with it. Ask again, briefly, if he does not answer."


def ask(run: Run, text: str, *, now: float) -> None:
    """Put the caller's words to the model."""
    _answered(run, "")  # what was said of an answer that the caller spoke over is none to this
    run.asked = text
    run.visit.rounds = 0
    run.visit.talk.append(LlmTurn("caller", text))
    _ask(run, now=now)


def add(run: Run, text: str, *, now: float) -> None:
    """Put what the caller adds before the answer is there; a half of it that was said stays said."""
    said = _answered(run, "")
    if not said and run.visit.talk[-1].who == "caller":
        run.visit.talk.pop()
        text = f"{run.asked} {text}"
    ask(run, text, now=now)


def ask_again(run: Run, *, now: float) -> None:
    """Put the caller's last words to the model again where its answer was lost under a noise; else do nothing."""
    talk = run.visit.talk
    if talk and talk[-1].who == "caller" and not run.visit.answer:
        _ask(run, now=now)


def said(run: Run, clause: str) -> None:
    """Speak a part of the answer as soon as it is there."""
    if (clause := clause.strip()) and _may_speak(run):
        run.visit.answer.append(clause)
        run.emit_say(clause)


def take(run: Run, answer: LlmAnswered, otherwise: Callable[[], Step | None], *, now: float) -> Step | None:
    """Take the answer; `otherwise` is what the rules do where there is none to speak of."""
    state = run.state
    text = answer.text.strip() if _may_speak(run) else ""
    run.emit_say(text)
    spoken = _answered(run, text)
    acted, step = _act(run, answer.calls, now=now)
    if acted:
        return step
    if isinstance(state, LlmState):
        return _go_on(run, state, answer, spoken=spoken)
    return no_match(run, instead=True) if spoken else otherwise()


def take_tool(run: Run, answer: ToolAnswered, *, now: float) -> None:
    """Tell the model what a tool answered; personal values stay here."""
    tool = run.flow.tools[run.tool]
    calling.keep(run, tool, answer)
    known = {name: run.values[name] for name, saved in tool.save.items() if name in run.values and not saved.pii}
    (called,) = (o.function for o in offers(run.flow, run.state).values() if (o.deed, o.name) == (Deed.CALL, run.tool))
    call = LlmCall(called.name)
    _note(run, call, json.dumps({"status": answer.status, **known}, ensure_ascii=False))
    _ask(run, now=now)


def _ask(run: Run, *, now: float) -> None:
    state = run.state
    offered = offers(run.flow, state)
    request = run.next_request(Phase.THINKING, answer_at=now + LIMIT_S)
    run.output.append(
        AskLlm(
            request,
            run.asked,
            _task(run),
            persona=run.flow.persona,
            history=(*_question(run), *run.visit.talk[-_MOST_LINES:]),
            functions=tuple(offer.function for offer in offered.values()),
            speaks=_may_speak(run),
        )
    )


def _may_speak(run: Run) -> bool:
    """Not in a menu or a question of a hybrid flow, where it stands in for the rules; servers may not keep to that."""
    return isinstance(run.state, LlmState) or run.flow.engine == "llm"


def _question(run: Run) -> tuple[LlmTurn, ...]:
    """Give what the bot asked here, unless it holds a personal value; it goes among the model's instructions."""
    state = run.state
    asked = getattr(state, "say", None)
    if asked is None and isinstance(state, CollectState):
        asked = run.flow.slots[state.collect].ask
    if asked is None or asked.names() & run.personal:
        return ()
    return (LlmTurn("bot", asked.render(run.shown(run.values), masked=_in_others_words(run))),)


def _in_others_words(run: Run) -> set[str]:
    """Name the values that may hold any words of the caller, a tool or whoever set up the call: instructions, too."""
    flow = run.flow
    free = {name for name, slot in flow.slots.items() if slot.type == "text"}
    free |= {name for tool in flow.tools.values() for name in tool.save}
    return free | {name for name, written in flow.variables.items() if run.values.get(name) != written}


def _task(run: Run) -> str:
    state = run.state
    if isinstance(state, LlmState):
        return state.llm.task
    if isinstance(state, CollectState):
        (function,) = (o.function.name for o in offers(run.flow, state).values() if o.deed is Deed.FILL)
        return _COLLECT.format(function=function)
    return _ROUTER


def _go_on(run: Run, state: LlmState, answer: LlmAnswered, *, spoken: bool) -> Step | None:
    if answer.done:
        return Step(state.then, "llm done")
    if not spoken:
        return Step(state.on_fail or state.then, "llm failed")
    if run.visit.llm_turns >= state.llm.max_turns:
        return Step(state.then, "llm done")
    return None


def _answered(run: Run, rest: str) -> bool:
    """Note what the model said in this answer; tells whether it was anything."""
    text = " ".join(part for part in (*run.visit.answer, rest) if part)
    run.visit.answer.clear()
    if text:
        run.visit.talk.append(LlmTurn("bot", text))
    return bool(text)


def _act(run: Run, calls: tuple[LlmCall, ...], *, now: float) -> tuple[bool, Step | None]:
    """Do what the model calls for, as far as it is offered; ask it again where it awaits a result.

    Gives whether that was anything, and where to go.
    """
    offered = offers(run.flow, run.state)
    results = False
    for call, offer in _in_order(run.state, [(call, offered[call.name]) for call in calls if call.name in offered]):
        result = _do(run, offer, call, now=now)
        if not isinstance(result, str):
            return True, result
        _note(run, call, result)
        results = True
    if not results or run.visit.rounds >= _MOST_ROUNDS:
        return False, None
    run.visit.rounds += 1
    _ask(run, now=now)
    return True, None


def _in_order(state: State, calls: list[tuple[LlmCall, Offer]]) -> list[tuple[LlmCall, Offer]]:
    """Put values before what needs them or leaves the talk: models call functions in any order."""
    return sorted(calls, key=lambda one: one[1].deed is not Deed.FILL) if isinstance(state, LlmState) else calls


def _do(run: Run, offer: Offer, call: LlmCall, *, now: float) -> Step | str | None:
    """Do one thing; gives where to go, a result for the model, or None where that was all."""
    state = run.state
    match offer.deed:
        case Deed.CHOOSE:
            assert isinstance(state, MenuState)
            return next(Step(choice.then, f"llm {offer.name}") for choice in state.menu if choice.intent == offer.name)
        case Deed.YES | Deed.NO:
            assert isinstance(state, MenuState)
            return Step((state.yes if offer.deed is Deed.YES else state.no) or "", f"llm {offer.deed.value}")
        case Deed.GLOBAL:
            goto = run.flow.intents[offer.name].goto
            if goto is None:
                _note(run, call, "said again")
                run.ask()
            return None if goto is None else Step(goto, f"llm {offer.name}")
        case Deed.FILL:
            return _fill(run, offer.name, call.value)
        case Deed.CALL:
            return _call(run, offer.name, now=now)
        case _:
            assert isinstance(state, LlmState)
            return Step(state.then, "llm done")


def _fill(run: Run, name: str, written: str) -> Step | str | None:
    slot = run.flow.slots[name]
    value = written if written in choices_of(slot) else value_from_speech(slot, written, today=run.today)
    state = run.state
    if isinstance(state, CollectState):
        return no_match(run) if value is None else collecting.take(run, state, value)
    if value is None:
        return "not a value that can be taken: ask again"
    for rejection in slot.rejections:
        if run.holds(rejection.when, {name: value}):
            values = run.shown({**run.values, name: value})
            return f"turned down: {rejection.say.render(values, masked=run.personal)}"
    run.keep(name, value, pii=slot.pii)
    return "noted"


def _call(run: Run, name: str, *, now: float) -> str | None:
    lacking = calling.missing(run, run.flow.tools[name])
    if lacking:
        return f"not called: {', '.join(lacking)} not known yet"
    if run.visit.rounds >= _MOST_ROUNDS:
        return "not called: too often"
    run.visit.rounds += 1
    calling.call(run, name, now=now)
    return None


def _note(run: Run, call: LlmCall, result: str) -> None:
    run.visit.talk.append(LlmTurn("function", result, call))
