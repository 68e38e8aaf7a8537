"""A flow drawn as a Mermaid flowchart, for pull requests, the documentation and the page."""

from __future__ import annotations

from collections.abc import Iterator

from bot.flows.edges import Edge, Way, edges
from bot.flows.flow import Flow
from bot.flows.states import State, kind_of

# Mermaid's shapes by kind: what listens is round, what decides a diamond, what ends a stadium.
_SHAPES = {
    "menu": ("(", ")"),
    "collect": ("(", ")"),
    "llm": ("(", ")"),
    "decide": ("{", "}"),
    "call": ("[[", "]]"),
    "transfer": ("([", "])"),
    "hangup": ("([", "])"),
    "say": ("[", "]"),
}
_DOTTED = frozenset({Way.NO_INPUT, Way.NO_MATCH, Way.FAILURE})
_LONGEST_LABEL = 40


def mermaid(flow: Flow) -> str:
    """Draw the flow. Ids are numbered, because state names may be words that Mermaid keeps for itself (`end`)."""
    ids = {name: f"s{number}" for number, name in enumerate(flow.states)}
    lines = ["flowchart TD"]
    lines += [_node(ids[name], name, state) for name, state in flow.states.items()]
    lines += [_edge(ids, edge) for edge in edges(flow) if edge.target in ids]
    lines += _globals(flow, ids)
    return "\n".join([*lines, f"  start(( )) --> {ids[flow.start]}", ""])


def _node(node: str, name: str, state: State) -> str:
    kind = kind_of(state) or "say"
    opening, closing = _SHAPES[kind]
    detail = kind if kind not in {"collect", "call"} else f"{kind} {getattr(state, kind)}"
    return f'  {node}{opening}"{_escaped(name)}<br/><small>{_escaped(detail)}</small>"{closing}'


def _edge(ids: dict[str, str], edge: Edge) -> str:
    arrow = "-.->" if edge.way in _DOTTED else "-->"
    label = f'|"{_escaped(edge.label)}"|' if edge.label else ""
    return f"  {ids[edge.source]} {arrow}{label} {ids[edge.target]}"


def _globals(flow: Flow, ids: dict[str, str]) -> Iterator[str]:
    for number, (name, intent) in enumerate(flow.intents.items()):
        if intent.goto in ids:
            yield f'  g{number}>"{_escaped(name)}"] -.-> {ids[intent.goto]}'


def _escaped(text: str) -> str:
    short = text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "#quot;")
