"""Whether the caller's words hold a personal value: then they go to the flow and into no record, log or page."""

from __future__ import annotations

import re

from bot.flows.hearing import said_exactly
from bot.flows.run import Phase, Run
from bot.flows.states import CollectState, LlmState, MenuState
from bot.flows.values import value_from_speech
from bot.language.inverse.answers import parse_yes_no

_WORD = re.compile(r"[^\W_]+")


def is_personal(run: Run, text: str) -> bool:
    """Tell of words said now. Where a personal slot is asked for, what is not understood counts as personal."""
    if not text or run.phase in {Phase.NEW, Phase.ENDED}:
        return False
    state = run.state
    asked = state.collect if isinstance(state, CollectState) else ""
    also = state.also if isinstance(state, (CollectState, MenuState)) else ()
    if isinstance(state, LlmState):
        also = state.llm.slots
    if any(name in run.personal and _reads(run, name, text) for name in (asked, *also) if name):
        return True
    if asked not in run.personal:
        return False
    if run.phase is Phase.CONFIRMING:
        return not _is_plain_answer(text)
    return said_exactly(run.flow, state, text) is None


def _reads(run: Run, name: str, text: str) -> bool:
    return value_from_speech(run.flow.slots[name], text, today=run.today) is not None


def _is_plain_answer(text: str) -> bool:
    """Tell whether nothing is said but yes or no; "yox, sonu qırx altı" has two digits of a telephone number."""
    return all(parse_yes_no(word) is not None for word in _WORD.findall(text))
