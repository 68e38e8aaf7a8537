"""What a language model may do in a state: functions that name intents, slots and tools, and never a state or a host.

The same functions are those of the nodes that `bot.flows.compile` writes for Pipecat.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from bot.flows.actions import LlmFunction
from bot.flows.flow import Flow
from bot.flows.slots import Slot
from bot.flows.states import CollectState, LlmState, MenuState, State
from bot.language.fold import plain

FINISH = "finish"
_MEANINGS: Mapping[str, str] = {
    "phone_az": "an Azerbaijani telephone number, its digits",
    "fin": "a FIN code of seven letters and digits",
    "date": "a date, as YYYY-MM-DD or in the caller's words",
    "time": "a time of day, as HH:MM or in the caller's words",
    "number": "a number",
    "digits": "digits, as they were said",
    "money": "an amount in manat",
    "enum": "one of the values",
    "boolean": "true or false",
    "text": "the caller's words",
}


class Deed(Enum):
    """What an offered function does."""

    CHOOSE = "choose"
    GLOBAL = "global"
    YES = "yes"
    NO = "no"
    FILL = "fill"
    CALL = "call"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class Offer:
    """A function, and the name of the intent, slot or tool that it stands for."""

    deed: Deed
    name: str
    function: LlmFunction


def offers(flow: Flow, state: State) -> Mapping[str, Offer]:
    """Give what the model may do in a state, by the name of the function."""
    return {offer.function.name: offer for offer in (*_own(flow, state), *global_offers(flow))}


def function_name(deed: str, name: str) -> str:
    """Name a function as language models take it: Latin letters, digits and underscores."""
    return re.sub(r"[^a-z0-9_]", "_", plain(f"{deed}_{name}"))


def global_offers(flow: Flow) -> Iterator[Offer]:
    """Give the intents that are heard everywhere."""
    for name, intent in flow.intents.items():
        if intent.is_global:
            yield Offer(Deed.GLOBAL, name, LlmFunction(function_name("global", name), intent.describe))


def _own(flow: Flow, state: State) -> Iterator[Offer]:
    match state:
        case MenuState():
            yield from _choices(flow, state)
        case CollectState(collect=slot):
            yield _filling(flow, slot)
        case LlmState():
            yield Offer(Deed.FINISH, "", LlmFunction(FINISH, "The task is done, or the caller wants nothing more."))
            yield from (_filling(flow, slot) for slot in state.llm.slots)
            for name in state.llm.tools:
                describe = flow.tools[name].describe or name
                yield Offer(Deed.CALL, name, LlmFunction(function_name("call", name), describe))
        case _:
            return


def _choices(flow: Flow, state: MenuState) -> Iterator[Offer]:
    for choice in state.menu:
        describe = flow.intents[choice.intent].describe
        yield Offer(Deed.CHOOSE, choice.intent, LlmFunction(function_name("choose", choice.intent), describe))
    if state.yes is not None:
        yield Offer(Deed.YES, "", LlmFunction("answer_yes", "The caller says yes."))
    if state.no is not None:
        yield Offer(Deed.NO, "", LlmFunction("answer_no", "The caller says no."))


def _filling(flow: Flow, name: str) -> Offer:
    slot = flow.slots[name]
    describe = slot.describe or f"Note the value of {name} that the caller gave."
    function = LlmFunction(function_name("set", name), describe, _MEANINGS[slot.type], choices_of(slot))
    return Offer(Deed.FILL, name, function)


def choices_of(slot: Slot) -> tuple[str, ...]:
    """Give the values of a slot that can be listed."""
    return ("true", "false") if slot.type == "boolean" else tuple(slot.values)
