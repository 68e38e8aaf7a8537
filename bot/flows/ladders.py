"""Ladders: what is said the first, second... time that a caller is silent or not understood, and what follows."""

from __future__ import annotations

from bot.flows.run import Phase, Run, Step
from bot.flows.states import CollectState, LlmState, MenuState, NoInput, NoMatch


def no_input_of(run: Run) -> NoInput | None:
    """Give the no-input ladder of the state."""
    own = run.state.no_input if isinstance(run.state, (MenuState, CollectState, LlmState)) else None
    return own or run.flow.defaults.no_input


def no_input(run: Run) -> Step | None:
    """Climb a rung after a silence."""
    run.visit.silences += 1
    return _climb(run, no_input_of(run), run.visit.silences, "no input")


def no_match(run: Run, *, instead: bool = False) -> Step | None:
    """Climb a rung after something that was not understood. `instead`: something else was said already."""
    run.visit.misses += 1
    own = run.state.no_match if isinstance(run.state, (MenuState, CollectState)) else None
    ladder = own or run.flow.defaults.no_match
    if instead and ladder is not None and run.visit.misses <= len(ladder.say):
        return None
    return _climb(run, ladder, run.visit.misses, "no match")


def refused(run: Run) -> Step | None:
    """Ask again after a "no" to a confirmation, as often as the no-match ladder has rungs."""
    run.visit.refusals += 1
    state = run.state
    ladder = (state.no_match if isinstance(state, CollectState) else None) or run.flow.defaults.no_match
    if ladder is not None and run.visit.refusals > max(1, len(ladder.say)):
        return Step(ladder.then, "not confirmed")
    run.phase, run.candidate = Phase.LISTENING, ""
    slot = run.flow.slots[state.collect] if isinstance(state, CollectState) else None
    if slot is not None and slot.retry is not None:
        run.say(slot.retry)
    else:
        run.ask()
    return None


def _climb(run: Run, ladder: NoInput | NoMatch | None, rung: int, why: str) -> Step | None:
    if ladder is None:  # lint refuses it: the caller is not left hanging for it
        run.fail()
        return None
    if rung > len(ladder.say):
        return Step(ladder.then, why)
    run.say(ladder.say[rung - 1])
    if ladder.repeat:
        run.ask()
    return None
