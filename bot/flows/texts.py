"""All templates and conditions of a flow, with their places."""

from __future__ import annotations

from collections.abc import Iterator

from bot.flows.expressions import Expression
from bot.flows.flow import Flow
from bot.flows.source import Path
from bot.flows.states import (
    AnsweredState,
    CollectState,
    DecideState,
    LlmState,
    MenuState,
    NoInput,
    NoMatch,
    TransferState,
)
from bot.flows.templates import Template


def texts(flow: Flow) -> Iterator[tuple[Path, Template]]:
    """Give every template: what is said, sent, and where calls are transferred to."""
    yield from prompts(flow)
    for name, tool in flow.tools.items():
        yield from ((("tools", name, "send", key), text) for key, text in tool.send.items())
    for name, state in flow.states.items():
        if isinstance(state, TransferState):
            yield ("states", name, "transfer", "to"), state.transfer.to


def prompts(flow: Flow) -> Iterator[tuple[Path, Template]]:
    """Give every template that is said to the caller."""
    if flow.disclosure is not None:
        yield ("disclosure",), flow.disclosure
    if flow.defaults.on_error is not None:
        yield ("defaults", "on_error"), flow.defaults.on_error
    yield from _ladder(("defaults", "no_input"), flow.defaults.no_input)
    yield from _ladder(("defaults", "no_match"), flow.defaults.no_match)
    for name, tool in flow.tools.items():
        if tool.filler is not None:
            yield ("tools", name, "filler"), tool.filler
    yield from _slot_prompts(flow)
    yield from _state_prompts(flow)


def _slot_prompts(flow: Flow) -> Iterator[tuple[Path, Template]]:
    for name, slot in flow.slots.items():
        for key, text in (("ask", slot.ask), ("confirm", slot.confirm), ("retry", slot.retry)):
            if text is not None:
                yield ("slots", name, key), text
        for index, rejection in enumerate(slot.rejections):
            yield ("slots", name, "rejections", index, "say"), rejection.say


def _state_prompts(flow: Flow) -> Iterator[tuple[Path, Template]]:
    for name, state in flow.states.items():
        if not isinstance(state, (DecideState, AnsweredState)) and state.say is not None:
            yield ("states", name, "say"), state.say
        if isinstance(state, (MenuState, CollectState, LlmState)):
            yield from _ladder(("states", name, "no_input"), state.no_input)
        if isinstance(state, (MenuState, CollectState)):
            yield from _ladder(("states", name, "no_match"), state.no_match)


def conditions(flow: Flow) -> Iterator[tuple[Path, Expression]]:
    """Give every condition."""
    for name, slot in flow.slots.items():
        for index, rejection in enumerate(slot.rejections):
            yield ("slots", name, "rejections", index, "if"), rejection.when
    for name, state in flow.states.items():
        if isinstance(state, DecideState):
            for index, branch in enumerate(state.decide):
                if branch.when is not None:
                    yield ("states", name, "decide", index, "if"), branch.when


def _ladder(path: Path, ladder: NoInput | NoMatch | None) -> Iterator[tuple[Path, Template]]:
    if ladder is not None:
        yield from (((*path, "say", index), text) for index, text in enumerate(ladder.say))
