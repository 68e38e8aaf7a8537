"""Is what the caller has said so far a whole answer? Asked in the middle of a pause; changes nothing."""

from __future__ import annotations

from bot.flows.hearing import said_exactly, said_nearly
from bot.flows.run import Phase, Run
from bot.flows.states import CollectState, MenuState
from bot.flows.values import value_from_speech
from bot.language.inverse.answers import parse_yes_no

# A number, date or time may go on after a pause ("on" ... "dörd otuz"), a free text always; these do not.
_CLOSED = frozenset({"phone_az", "fin", "enum", "boolean"})


def suffices(run: Run, text: str) -> bool:
    """Tell whether `text` names a choice, fills a slot or answers a confirmation, by the rules alone."""
    if not run.phase.awaits_caller or not text:
        return False
    state = run.state
    if said_exactly(run.flow, state, text) is not None:
        return True
    match state:
        case MenuState():
            return said_nearly(run.flow, state, text) is not None or parse_yes_no(text) is not None
        case CollectState() if run.phase is Phase.CONFIRMING:
            return parse_yes_no(text) is not None
        case CollectState():
            slot = run.flow.slots[state.collect]
            return slot.type in _CLOSED and value_from_speech(slot, text, today=run.today) is not None
        case _:
            return False
