"""Collecting a slot: take a value, turn down what will not do, have it confirmed, keep it."""

from __future__ import annotations

from bot.flows.ladders import no_match, refused
from bot.flows.run import Phase, Run, Step
from bot.flows.slots import Slot
from bot.flows.states import CollectState
from bot.flows.values import value_from_speech
from bot.language.inverse.answers import parse_yes_no

# What nobody says along with a yes unless it is meant; a number is ("hə, bir dəqiqə").
_NEVER_IN_PASSING = frozenset({"phone_az", "fin", "date", "time", "digits"})


def begin(run: Run, state: CollectState) -> Step | None:
    """Ask for the slot, unless the caller has offered its value already."""
    run.phase = Phase.LISTENING
    offered = run.offered.pop(state.collect, None)
    if offered is not None:
        if state.say is not None:
            run.say(state.say)
        return take(run, state, offered)
    run.ask()
    return None


def hear(run: Run, state: CollectState, text: str) -> str | None:
    """Read the slot's value, and note the values of `also` that the same words have."""
    value = value_from_speech(run.flow.slots[state.collect], text, today=run.today)
    if value is not None:
        offer(run, state.also, text)
    return value


def offer(run: Run, names: tuple[str, ...], text: str) -> None:
    """Keep the values of slots that words have in passing, until their own states come."""
    for name in names:
        value = value_from_speech(run.flow.slots[name], text, today=run.today)
        if value is not None:
            run.offered[name] = value


def take(run: Run, state: CollectState, value: str) -> Step | None:
    """Take a value: to be turned down, confirmed or kept."""
    slot = run.flow.slots[state.collect]
    for rejection in slot.rejections:
        if run.holds(rejection.when, {state.collect: value}):
            run.phase, run.candidate = Phase.LISTENING, ""
            run.say(rejection.say, {state.collect: value})
            return no_match(run, instead=True)
    if slot.confirm is None:
        return keep(run, state, value)
    run.phase, run.candidate = Phase.CONFIRMING, value
    run.ask()
    return None


def confirm(run: Run, state: CollectState, text: str) -> Step | None:
    """Take the answer to a confirmation: yes, no, or another value. Anything else is no match.

    "Hə, on altıda" to 14:00 is no yes: what was heard before may have been wrong, and is asked about once more.
    """
    slot = run.flow.slots[state.collect]
    answer = parse_yes_no(text)
    if answer is True and slot.type not in _NEVER_IN_PASSING:
        return keep(run, state, run.candidate)
    value = _correction(run, slot, state, text)
    if value is not None and value == run.candidate and answer is None:
        return keep(run, state, value)
    if value is not None and value != run.candidate:
        return take(run, state, value)
    if answer is True:
        return keep(run, state, run.candidate)
    return refused(run) if answer is False else no_match(run)


def keep(run: Run, state: CollectState, value: str) -> Step:
    """Keep the value and go on."""
    run.keep(state.collect, value, pii=run.flow.slots[state.collect].pii)
    return Step(state.then, "collected")


def _correction(run: Run, slot: Slot, state: CollectState, text: str) -> str | None:
    """Read a new value; a free text would take any answer for one."""
    return None if slot.type in {"text", "boolean"} else hear(run, state, text)
