"""All ways from state to state: what lint follows, the graph draws and the compiler translates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from bot.flows.flow import Flow
from bot.flows.source import Path
from bot.flows.states import (
    Answered,
    AnsweredState,
    Branch,
    CallState,
    CollectState,
    DecideState,
    HangupState,
    LlmState,
    MenuState,
    NoInput,
    NoMatch,
    SayState,
    State,
    TransferState,
)


class Way(Enum):
    """Why the call goes from one state to the next."""

    NEXT = "next"
    CONDITION = "condition"
    ANSWERER = "answerer"
    CHOICE = "choice"
    STATUS = "status"
    NO_INPUT = "no_input"
    NO_MATCH = "no_match"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Edge:
    """One way out of a state. `path` leads to where the file names the target."""

    source: str
    target: str
    way: Way
    label: str
    path: Path


def edges(flow: Flow) -> Iterator[Edge]:
    """Give every edge of a flow but those of global intents and `tones`, which leave from everywhere."""
    for name, state in flow.states.items():
        yield from _own_edges(flow, name, state)
        if isinstance(state, (MenuState, CollectState, LlmState)):
            yield from _ladder_edges(flow, name, state)


def listens(state: State) -> bool:
    """Tell whether a state waits for the caller."""
    return isinstance(state, (MenuState, CollectState, LlmState))


def ends(state: State) -> bool:
    """Tell whether the call can end in a state."""
    return isinstance(state, (HangupState, TransferState))


def _own_edges(flow: Flow, name: str, state: State) -> Iterator[Edge]:
    place: Path = ("states", name)
    match state:
        case DecideState(decide=branches):
            yield from _branches(name, branches)
        case AnsweredState(answered=answered):
            yield from _answerers(name, answered)
        case MenuState():
            yield from _choices(name, state)
        case CallState(call=tool, on=own):
            yield from _status_edges(flow, name, tool, own)
        case LlmState(then=then, on_fail=on_fail):
            yield Edge(name, then, Way.NEXT, "done", (*place, "then"))
            yield Edge(name, on_fail or then, Way.FAILURE, "failed", (*place, "on_fail" if on_fail else "then"))
        case TransferState(transfer=target):
            yield Edge(name, target.on_fail, Way.FAILURE, "transfer failed", (*place, "transfer", "on_fail"))
        case CollectState(then=then) | SayState(then=then):
            yield Edge(name, then, Way.NEXT, "", (*place, "then"))
        case _:
            return


def _branches(name: str, branches: tuple[Branch, ...]) -> Iterator[Edge]:
    for index, branch in enumerate(branches):
        key, label = ("then", branch.when.text) if branch.when else ("else", "else")
        yield Edge(name, branch.target, Way.CONDITION, label, ("states", name, "decide", index, key))


def _answerers(name: str, answered: Answered) -> Iterator[Edge]:
    ways = {"human": answered.human, "machine": answered.machine, "recording": answered.recording, "fax": answered.fax}
    for who, target in ways.items():
        if target is not None:
            yield Edge(name, target, Way.ANSWERER, who, ("states", name, "answered", who))


def _choices(name: str, state: MenuState) -> Iterator[Edge]:
    for index, choice in enumerate(state.menu):
        label = f"{choice.intent} / {choice.dtmf}" if choice.dtmf else choice.intent
        yield Edge(name, choice.then, Way.CHOICE, label, ("states", name, "menu", index, "then"))
    for answer, target in (("yes", state.yes), ("no", state.no)):
        if target is not None:
            yield Edge(name, target, Way.CHOICE, answer, ("states", name, answer))


def _status_edges(flow: Flow, name: str, tool: str, own: dict[str, str]) -> Iterator[Edge]:
    table = flow.tools[tool].on if tool in flow.tools else {}
    for status, target in {**table, **own}.items():
        path: Path = ("states", name, "on", status) if status in own else ("tools", tool, "on", status)
        yield Edge(name, target, Way.STATUS, status, path)


def _ladder_edges(flow: Flow, name: str, state: MenuState | CollectState | LlmState) -> Iterator[Edge]:
    ladders: list[tuple[Way, NoInput | NoMatch | None, NoInput | NoMatch | None]] = [
        (Way.NO_INPUT, state.no_input, flow.defaults.no_input)
    ]
    if not isinstance(state, LlmState):
        ladders.append((Way.NO_MATCH, state.no_match, flow.defaults.no_match))
    for way, own, default in ladders:
        ladder = own or default
        if ladder is not None:
            place: Path = ("states", name, way.value) if own else ("defaults", way.value)
            yield Edge(name, ladder.then, way, way.value, (*place, "then"))
