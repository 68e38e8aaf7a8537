"""What can be meant in a state: for the rules, for the understanding step, and as hints for the recogniser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.flows.actions import Candidate
from bot.flows.flow import Flow, Intent
from bot.flows.states import CollectState, MenuState, State
from bot.language.inverse.answers import parse_yes_no
from bot.language.phrases import Phrase, exact_match, nearest_match

_VALUE = "="  # slot=value names a value of an enum slot among the candidates


def global_intents(flow: Flow) -> Mapping[str, Intent]:
    """Give the intents that are heard in every listening state."""
    return {name: intent for name, intent in flow.intents.items() if intent.is_global}


def intents_of(flow: Flow, state: State) -> Mapping[str, Intent]:
    """Give all intents that are heard in a state."""
    own = {choice.intent for choice in state.menu} if isinstance(state, MenuState) else set[str]()
    return {name: intent for name, intent in flow.intents.items() if name in own or intent.is_global}


def said_exactly(flow: Flow, state: State, text: str) -> str | None:
    """Find the intent that was said word by word."""
    match = exact_match(text, _phrases(flow, state))
    return match.name if match else None


def said_nearly(flow: Flow, state: State, text: str) -> str | None:
    """Find the intent that what was said sounds like."""
    match = nearest_match(text, _phrases(flow, state))
    return match.name if match else None


def candidates(flow: Flow, state: State) -> tuple[Candidate, ...]:
    """Give what the understanding step may choose from: not what has to be said word for word and nothing else."""
    found = [
        Candidate(name, intent.describe, _examples(intent.phrases))
        for name, intent in intents_of(flow, state).items()
        if not intent.phrases or not all(phrase.whole for phrase in intent.phrases)
    ]
    if isinstance(state, CollectState):
        slot = flow.slots[state.collect]
        found += [
            Candidate(f"{state.collect}{_VALUE}{name}", value.describe or name, _examples(value.phrases))
            for name, value in slot.values.items()
        ]
    return tuple(found)


def enum_value(candidate: str) -> str | None:
    """Give the value that a candidate names, if it names one."""
    _, mark, value = candidate.partition(_VALUE)
    return value if mark else None


def hints(flow: Flow, state: State) -> tuple[str, ...]:
    """Give what callers say in a state, for the recogniser; never yes or no, which it would then hear everywhere."""
    own = {choice.intent for choice in state.menu} if isinstance(state, MenuState) else set[str]()
    phrases = [phrase for name in flow.intents if name in own for phrase in flow.intents[name].phrases]
    if isinstance(state, CollectState):
        phrases += [phrase for value in flow.slots[state.collect].values.values() for phrase in value.phrases]
    phrases += [phrase for intent in global_intents(flow).values() for phrase in intent.phrases]
    return tuple(phrase.text for phrase in phrases if phrase.is_natural and parse_yes_no(phrase.text) is None)


def _phrases(flow: Flow, state: State) -> Mapping[str, Sequence[Phrase]]:
    return {name: intent.phrases for name, intent in intents_of(flow, state).items()}


def _examples(phrases: Sequence[Phrase]) -> tuple[str, ...]:
    return tuple(phrase.text for phrase in phrases if phrase.is_natural) or tuple(
        phrase.text.replace("*", "") for phrase in phrases
    )
