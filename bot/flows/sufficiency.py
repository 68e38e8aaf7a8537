"""Is what the caller has said so far a whole answer? Asked in the middle of a pause; changes nothing."""

from __future__ import annotations

import re
from enum import IntEnum

from bot.flows.hearing import said_exactly, said_nearly
from bot.flows.run import Phase, Run
from bot.flows.states import CollectState, MenuState
from bot.flows.values import value_from_speech
from bot.language.fold import plain
from bot.language.inverse.answers import parse_yes_no

# A number, date or time may go on after a pause ("on" ... "dörd otuz"), a free text always; these do not.
_CLOSED = frozenset({"phone_az", "fin", "enum", "boolean"})
_WORD = re.compile(r"[^\W_]+")
_SPOKEN = re.compile(r"[^\W\d_]+")
_PHONE_WORDS = 9  # with fewer there is a reading that fits too soon: "sıfır əlli iki yüz on iki" as 0 50 2 100 10 2
_LEAST_WORDS = 2  # a single one is how many sentences begin
# Words that something follows: and, or, but, that, for, with, because, if, from … (folded).
_LEADING = frozenset(
    {"ve", "ya", "veya", "amma", "ancaq", "lakin", "ki", "ucun", "ile", "cunki", "eger", "yeni", "hem"}
    | {"de", "da", "bir", "men", "mene", "meni", "menim", "bu", "o", "saat", "sonra", "yox", "xeyr", "beli", "he"}
)
_GOES_ON = (",", ";", ":", "-", "–", "…", "...")


class Sufficiency(IntEnum):
    """What more a text leaves to be said."""

    OPEN = 0  # the rules find no answer in it, or one that often goes on
    ENOUGH = 1  # an answer
    WHOLE = 2  # one in words of its own, with nothing that asks for more


def suffices(run: Run, text: str) -> Sufficiency:
    """Judge `text` by the rules alone."""
    if not _answers(run, text):
        return Sufficiency.OPEN
    return Sufficiency.WHOLE if _is_whole(run, text) else Sufficiency.ENOUGH


def _answers(run: Run, text: str) -> bool:
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
            if slot.type == "phone_az" and len(_SPOKEN.findall(text)) in range(1, _PHONE_WORDS):
                return False
            return slot.type in _CLOSED and value_from_speech(slot, text, today=run.today) is not None
        case _:
            return False


def _is_whole(run: Run, text: str) -> bool:
    """Tell whether `text` names its choice in words of its own, with nothing that asks for more.

    Yes and no are often followed by what they mean, and the last digits of a number by one more: they only suffice.
    """
    words = _WORD.findall(plain(text))
    if len(words) < _LEAST_WORDS or words[-1] in _LEADING or text.endswith(_GOES_ON):
        return False
    if run.phase is Phase.CONFIRMING:
        return False
    match run.state:
        case MenuState() as state:
            return said_exactly(run.flow, state, text) is not None or said_nearly(run.flow, state, text) is not None
        case CollectState() as state:
            return said_exactly(run.flow, state, text) is not None
        case _:  # who talks freely may go on with anything
            return False
