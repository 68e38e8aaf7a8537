"""A flow drawn as SVG, with no browser and no other program; the same file gives the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import TypeAlias

from bot.flows.drawing import Arrow, Box, Flag, arrows, boxes, flags
from bot.flows.flow import Flow
from bot.flows.layout import HEIGHT, Layout, lay_out

_Ways: TypeAlias = Mapping[tuple[str, str], Sequence[tuple[float, float]]]

_MARGIN = 16
_LETTER = 7.2  # px, of the widest text: 12 px sans-serif
_ARROWHEAD = (
    '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0L8 4L0 8z"/></marker></defs>'
)
_START = "\0start"  # no state can have this name
_STYLE = """\
svg{background:#fff;font:12px sans-serif}text{fill:#1b1f24;text-anchor:middle}.d{font-size:10px;fill:#57606a}
.e{font-size:10px;fill:#32383f;paint-order:stroke;stroke:#fff;stroke-width:4px}
.b{stroke:#57606a;fill:#f6f8fa}.menu,.collect,.llm{fill:#ddf4ff;stroke:#0969da}.decide,.answered{fill:#fff8c5;stroke:#9a6700}
.call{fill:#fbefff;stroke:#8250df}.hangup,.transfer{fill:#ffebe9;stroke:#cf222e}.flag{fill:#fff;stroke-dasharray:3 2}
path{fill:none;stroke:#57606a}.x{stroke-dasharray:4 3}marker path{fill:#57606a}"""


def svg(flow: Flow) -> str:
    """Draw the flow."""
    drawn, ways, raised = list(boxes(flow)), list(arrows(flow)), list(flags(flow))
    widths = {_START: 12.0}
    widths |= {f"\0{n}": _LETTER * len(flag.label) + 20 for n, flag in enumerate(raised)}
    leaving = Counter(arrow.source for arrow in ways if arrow.labels)
    widths |= {box.name: _width(box, leaving[box.name]) for box in drawn}
    pairs = [(_START, flow.start), *((arrow.source, arrow.target) for arrow in ways)]
    pairs += [(f"\0{n}", flag.target) for n, flag in enumerate(raised)]
    layout = lay_out(widths, pairs)
    layout = replace(layout, ways=_spread(layout.ways, widths))
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{escape(flow.id)}</title>',
        f"<style>{_STYLE}</style>",
        _ARROWHEAD,
        f'<g transform="translate({_MARGIN} {_MARGIN})">',
        *(_way(layout.ways[source, target], dotted=False) for source, target in pairs[:1]),
        *(_way(layout.ways[f"\0{n}", flag.target], dotted=True) for n, flag in enumerate(raised)),
        *_arrows(ways, layout),
        _circle(layout),
        *(_flag(flag, layout.centres[f"\0{n}"], widths[f"\0{n}"]) for n, flag in enumerate(raised)),
        *(_box(box, layout.centres[box.name], widths[box.name]) for box in drawn),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def _width(box: Box, leaving: int) -> float:
    """Make room for the texts of a box, and for the labels of the ways that leave it."""
    return max(60.0, _LETTER * max(len(box.name), 0.85 * len(box.detail)) + 20, 44.0 * leaving)


def _spread(ways: _Ways, widths: Mapping[str, float]) -> _Ways:
    """Let ways leave and enter side by side, in the order in which they come, so that their labels do not collide."""
    ends: dict[tuple[str, bool], list[tuple[float, tuple[str, str], int]]] = {}
    for pair, points in ways.items():
        down = points[0][1] < points[-1][1]
        ends.setdefault((pair[0], down), []).append((points[1][0], pair, 0))
        ends.setdefault((pair[1], not down), []).append((points[-2][0], pair, -1))
    spread = {pair: list(points) for pair, points in ways.items()}
    for (name, _), found in ends.items():
        for place, (_, pair, end) in enumerate(sorted(found)):
            x, y = spread[pair][end]
            spread[pair][end] = (x + (place - (len(found) - 1) / 2) * 0.8 * widths[name] / len(found), y)
    return spread


def _arrows(ways: Sequence[Arrow], layout: Layout) -> Iterator[str]:
    for arrow in ways:
        if arrow.source == arrow.target:
            x, y = layout.centres[arrow.source]
            points = f"M{x + 12:.0f} {y + HEIGHT / 2:.0f}c0 26 34 26 34 4"
            yield f'<path class="x" marker-end="url(#a)" d="{points}V{y + HEIGHT / 2:.0f}"/>'
        else:
            yield _way(layout.ways[arrow.source, arrow.target], dotted=arrow.dotted)
    for arrow in ways:
        if arrow.labels and arrow.source != arrow.target:
            yield _label(arrow.labels, layout.ways[arrow.source, arrow.target])


def _ends(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Let a way begin and end at the edges of its boxes, not at their centres."""
    half = HEIGHT / 2 if points[0][1] < points[-1][1] else -HEIGHT / 2
    (x0, y0), *middle, (x1, y1) = points
    return [(x0, y0 + half), *middle, (x1, y1 - half)]


def _way(points: Sequence[tuple[float, float]], *, dotted: bool) -> str:
    (x, y), *rest = _ends(points)
    path = f"M{x:.0f} {y:.0f}"
    for to_x, to_y in rest:
        middle = (y + to_y) / 2
        path += f"C{x:.0f} {middle:.0f} {to_x:.0f} {middle:.0f} {to_x:.0f} {to_y:.0f}"
        x, y = to_x, to_y
    style = ' class="x"' if dotted else ""
    return f'<path{style} marker-end="url(#a)" d="{path}"/>'


def _label(labels: Sequence[str], points: Sequence[tuple[float, float]]) -> str:
    (x0, y0), (x1, y1) = _ends(points)[:2]
    # where the curve is at t = 0.6
    x, y = x0 + 0.648 * (x1 - x0), y0 + 0.576 * (y1 - y0) - 5 * (len(labels) - 1)
    lines = "".join(f'<tspan x="{x:.0f}" dy="{11 if n else 0}">{escape(text)}</tspan>' for n, text in enumerate(labels))
    return f'<text class="e" x="{x:.0f}" y="{y:.0f}">{lines}</text>'


def _circle(layout: Layout) -> str:
    x, y = layout.centres[_START]
    return f'<circle class="b" cx="{x:.0f}" cy="{y + HEIGHT / 2 - 6:.0f}" r="6"/>'


def _flag(flag: Flag, centre: tuple[float, float], width: float) -> str:
    x, y = centre
    size = f'x="{x - width / 2:.0f}" y="{y:.0f}" width="{width:.0f}" height="{HEIGHT / 2:.0f}"'
    return f'<rect class="b flag" {size} rx="4"/><text x="{x:.0f}" y="{y + 15:.0f}">{escape(flag.label)}</text>'


def _box(box: Box, centre: tuple[float, float], width: float) -> str:
    x, y = centre
    top, left, radius = y - HEIGHT / 2, x - width / 2, 20 if box.kind in {"hangup", "transfer"} else 6
    return (
        f'<rect class="b {box.kind}" x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{HEIGHT}" rx="{radius}"/>'
        f'<text x="{x:.0f}" y="{y - 2:.0f}">{escape(box.name)}</text>'
        f'<text class="d" x="{x:.0f}" y="{y + 13:.0f}">{escape(box.detail)}</text>'
    )
