"""The caller's turn by rules: words, keys, and the choice of the understanding step."""

from __future__ import annotations

from bot.flows import collecting, talking
from bot.flows.actions import Understand
from bot.flows.clocks import Clock
from bot.flows.flow import Intent
from bot.flows.hearing import candidates, enum_value, global_intents, said_exactly, said_nearly
from bot.flows.keypad import Entered
from bot.flows.ladders import no_match, refused
from bot.flows.run import Phase, Run, Step
from bot.flows.slots import Keypad, Slot
from bot.flows.states import CollectState, LlmState, MenuState
from bot.flows.values import NO_KEY, YES_KEY, takes_one_key, value_from_keys
from bot.language.inverse.answers import parse_yes_no

_UNDERSTANDING_LIMIT_S = 8.0


def take_words(run: Run, text: str, *, now: float) -> Step | None:
    """Take what the caller said; empty when it was not recognised."""
    state = run.state
    if isinstance(state, LlmState):
        return _talk(run, state, text, now)
    if not text:
        return no_match(run)
    if isinstance(state, MenuState):
        run.offered.clear()
        collecting.offer(run, state.also, text)
    if run.llm and run.flow.engine == "llm" and run.phase is Phase.LISTENING:
        talking.ask(run, text, now=now)
        return None
    return by_rules(run, text, now=now)


def by_rules(run: Run, text: str, *, now: float) -> Step | None:
    """Take words by phrases and slot parsers; what these do not know goes to whoever there is to ask."""
    state = run.state
    if intent := said_exactly(run.flow, state, text):
        return _follow(run, intent)
    if isinstance(state, MenuState) and (answered := _yes_or_no(state, text)):
        return answered
    if isinstance(state, CollectState):
        value = None if run.phase is Phase.CONFIRMING else collecting.hear(run, state, text)
        if value is not None or run.phase is Phase.CONFIRMING:
            return collecting.take(run, state, value) if value else collecting.confirm(run, state, text)
    if intent := said_nearly(run.flow, state, text):
        return _follow(run, intent)
    options = candidates(run.flow, state) if run.understanding else ()
    run.asked = text
    if not options:
        return _ask_model(run, now)
    request = run.next_request(Phase.UNDERSTANDING, answer_at=now + _UNDERSTANDING_LIMIT_S)
    run.output.append(Understand(request, text, options))
    return None


def take_candidate(run: Run, name: str | None, *, now: float) -> Step | None:
    """Take the choice of the understanding step; what was not among its candidates is none."""
    state = run.state
    if name is None or name not in {candidate.name for candidate in candidates(run.flow, state)}:
        return _ask_model(run, now)
    value = enum_value(name)
    if value is not None and isinstance(state, CollectState):
        return collecting.take(run, state, value)
    return _follow(run, name)


def without_model(run: Run, *, now: float) -> Step | None:
    """Take the caller's words again where the language model made nothing of them, or did not answer."""
    if run.flow.engine == "llm":
        return by_rules(run, run.asked, now=now)
    return no_match(run)


def take_key(run: Run, key: str, *, now: float) -> Step | None:
    """Take a pressed key."""
    state = run.state
    if run.phase is Phase.CONFIRMING and isinstance(state, CollectState):
        return _answer(run, state, key)
    slot = run.flow.slots[state.collect] if isinstance(state, CollectState) else None
    if slot is not None and slot.dtmf is not None:
        return _type(run, slot, slot.dtmf, key, now)
    if slot is not None and takes_one_key(slot):
        value = value_from_keys(slot, key, today=run.today)
        if value is not None and isinstance(state, CollectState):
            return collecting.take(run, state, value)
    return _press(run, key)


def means_something(run: Run, key: str) -> bool:
    """Tell whether a key is taken here, so that what is still being understood or answered does not matter."""
    state = run.state
    slot = run.flow.slots[state.collect] if isinstance(state, CollectState) else None
    if slot is not None and (slot.dtmf is not None or takes_one_key(slot)):
        return True
    choices = state.menu if isinstance(state, MenuState) else ()
    return key in {part.dtmf for part in (*choices, *global_intents(run.flow).values())}


def keys_ended(run: Run) -> Step | None:
    """Take the digits so far, when no further key came in time."""
    state = run.state
    assert isinstance(state, CollectState)
    slot = run.flow.slots[state.collect]
    return _entered(run, slot, run.entry.close(slot.dtmf or Keypad()))


def _ask_model(run: Run, now: float) -> Step | None:
    """Ask the language model what no rule knew, where it was not asked first."""
    if not run.llm or run.flow.engine == "llm":
        return no_match(run)
    talking.ask(run, run.asked, now=now)
    return None


def _yes_or_no(state: MenuState, text: str) -> Step | None:
    answer = parse_yes_no(text)
    target = None if answer is None else (state.yes if answer else state.no)
    return None if target is None else Step(target, "yes" if answer else "no")


def _talk(run: Run, state: LlmState, text: str, now: float) -> Step | None:
    if intent := said_exactly(run.flow, state, text):
        return _follow(run, intent)
    if text:
        run.visit.llm_turns += 1
        talking.ask(run, text, now=now)
    else:
        talking.ask_again(run, now=now)
    return None


def _follow(run: Run, name: str) -> Step | None:
    """Do what an intent asks for: the choice of this menu, or what it does everywhere."""
    state = run.state
    if isinstance(state, MenuState):
        for choice in state.menu:
            if choice.intent == name:
                return Step(choice.then, f"intent {name}")
    return _global(run, name, run.flow.intents[name])


def _global(run: Run, name: str, intent: Intent) -> Step | None:
    if intent.goto is not None:
        return Step(intent.goto, f"intent {name}")
    run.ask()
    return None


def _press(run: Run, key: str) -> Step | None:
    state = run.state
    for choice in state.menu if isinstance(state, MenuState) else ():
        if choice.dtmf == key:
            return Step(choice.then, f"key {key}")
    for name, intent in global_intents(run.flow).items():
        if intent.dtmf == key:
            return _global(run, name, intent)
    return None if isinstance(state, LlmState) else no_match(run)


def _answer(run: Run, state: CollectState, key: str) -> Step | None:
    if key == YES_KEY:
        return collecting.keep(run, state, run.candidate)
    return refused(run) if key == NO_KEY else no_match(run)


def _type(run: Run, slot: Slot, keypad: Keypad, key: str, now: float) -> Step | None:
    entered = run.entry.press(key, keypad, decimal=slot.type in {"number", "money"}, now=now)
    run.clocks.stop(Clock.KEYS)
    if entered is not None:
        return _entered(run, slot, entered)
    if not run.entry.is_empty:
        run.clocks.start(Clock.KEYS, at=now + keypad.inter_digit_s)
    return None


def _entered(run: Run, slot: Slot, entered: Entered) -> Step | None:
    state = run.state
    value = None if entered.digits is None else value_from_keys(slot, entered.digits, today=run.today)
    if value is None or not isinstance(state, CollectState):
        return no_match(run)
    return collecting.take(run, state, value)
