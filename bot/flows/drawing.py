"""What is drawn of a flow, whether as Mermaid or as SVG: boxes, arrows, and flags for what holds everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.flows.edges import Edge, Way, edges
from bot.flows.flow import Flow
from bot.flows.states import State, kind_of

_DOTTED = frozenset({Way.NO_INPUT, Way.NO_MATCH, Way.FAILURE})
_LONGEST_LABEL = 40


@dataclass(frozen=True, slots=True)
class Box:
    """A state: its name, its kind, and what it collects or calls."""

    name: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """A way from state to state; several between the same two are one, with their labels."""

    source: str
    target: str
    labels: tuple[str, ...]
    dotted: bool


@dataclass(frozen=True, slots=True)
class Flag:
    """What leads to a state from everywhere: a global intent, a tone, or the ladder of the defaults."""

    label: str
    target: str


def boxes(flow: Flow) -> Iterator[Box]:
    """Give the states."""
    for name, state in flow.states.items():
        kind = kind_of(state) or "say"
        yield Box(name, kind, short(_detail(kind, state)))


def arrows(flow: Flow) -> Iterator[Arrow]:
    """Give the ways that states have of their own."""
    joined: dict[tuple[str, str], list[Edge]] = {}
    for edge in edges(flow):
        if edge.target in flow.states and edge.path[0] != "defaults":
            joined.setdefault((edge.source, edge.target), []).append(edge)
    for (source, target), same in joined.items():
        labels = dict.fromkeys(short(edge.label) for edge in same if edge.label)
        yield Arrow(source, target, tuple(labels), all(edge.way in _DOTTED for edge in same))


def flags(flow: Flow) -> Iterator[Flag]:
    """Give what holds in every state that listens."""
    for name, intent in flow.intents.items():
        if intent.goto is not None and intent.goto in flow.states:
            yield Flag(f"{name} / {intent.dtmf}" if intent.dtmf else name, intent.goto)
    for tone, target in flow.tones.ways():
        if target in flow.states:
            yield Flag(f"tone {tone}", target)
    for name, ladder in (("no_input", flow.defaults.no_input), ("no_match", flow.defaults.no_match)):
        if ladder is not None and ladder.then in flow.states:
            yield Flag(name, ladder.then)


def short(text: str) -> str:
    """Cut a label to what a drawing has room for."""
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def _detail(kind: str, state: State) -> str:
    return f"{kind} {getattr(state, kind)}" if kind in {"collect", "call"} else kind
