"""A flow drawn as a Mermaid flowchart, for pull requests and pages that draw it themselves."""

from __future__ import annotations

from bot.flows.drawing import Arrow, Box, arrows, boxes, flags
from bot.flows.flow import Flow

# Mermaid's shapes by kind: what listens is round, what decides a diamond, what ends a stadium.
_SHAPES = {
    "menu": ("(", ")"),
    "collect": ("(", ")"),
    "llm": ("(", ")"),
    "decide": ("{", "}"),
    "answered": ("{", "}"),
    "call": ("[[", "]]"),
    "transfer": ("([", "])"),
    "hangup": ("([", "])"),
    "say": ("[", "]"),
}


def mermaid(flow: Flow) -> str:
    """Draw the flow. Ids are numbered, because state names may be words that Mermaid keeps for itself (`end`)."""
    ids = {name: f"s{number}" for number, name in enumerate(flow.states)}
    lines = ["flowchart TD"]
    lines += [_box(ids[box.name], box) for box in boxes(flow)]
    lines += [_arrow(ids, arrow) for arrow in arrows(flow)]
    lines += [f'  g{n}>"{_escaped(flag.label)}"] -.-> {ids[flag.target]}' for n, flag in enumerate(flags(flow))]
    return "\n".join([*lines, f"  start(( )) --> {ids[flow.start]}", ""])


def _box(node: str, box: Box) -> str:
    opening, closing = _SHAPES[box.kind]
    return f'  {node}{opening}"{_escaped(box.name)}<br/><small>{_escaped(box.detail)}</small>"{closing}'


def _arrow(ids: dict[str, str], arrow: Arrow) -> str:
    line = "-.->" if arrow.dotted else "-->"
    label = f'|"{"<br/>".join(map(_escaped, arrow.labels))}"|' if arrow.labels else ""
    return f"  {ids[arrow.source]} {line}{label} {ids[arrow.target]}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "#quot;")
