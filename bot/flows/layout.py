"""Where the boxes of a directed graph go: layers from top to bottom, few crossings, straight long ways.

After Sugiyama, Tagawa and Toda (1981): turn the edges of cycles round, layer by the longest way, put a bend into every
layer that an edge passes, order each layer by its neighbours, and draw everything towards the mean of its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

GAP_X, GAP_Y, HEIGHT = 28, 74, 44
_BEND_WIDTH = 10
_SWEEPS = 24

Node: TypeAlias = str | tuple[str, str, int]  # a box, or the bend of an edge in a layer


@dataclass(frozen=True, slots=True)
class Layout:
    """Centres of the boxes, and the points that each edge passes, from its source to its target."""

    centres: Mapping[str, tuple[float, float]]
    ways: Mapping[tuple[str, str], Sequence[tuple[float, float]]]
    width: float
    height: float


def lay_out(widths: Mapping[str, float], edges: Iterable[tuple[str, str]]) -> Layout:
    """Lay out boxes of the given widths; the order of both arguments breaks ties, so that a file draws always alike."""
    pairs = [pair for pair in dict.fromkeys(edges) if pair[0] != pair[1]]
    back = _back_edges(widths, pairs)
    downward = list(dict.fromkeys((b, a) if (a, b) in back else (a, b) for a, b in pairs))
    layer_of = _layers(widths, downward)
    chains = {pair: _chain(pair, layer_of) for pair in downward}
    layers: list[list[Node]] = [[] for _ in range(max(layer_of.values(), default=0) + 1)]
    for name in widths:
        layers[layer_of[name]].append(name)
    for pair, chain in chains.items():
        for depth, bend in enumerate(chain[1:-1], layer_of[pair[0]] + 1):
            layers[depth].append(bend)
    near = _neighbours(chains.values())
    _order(layers, near)
    xs = _place(layers, near, {node: widths.get(node, _BEND_WIDTH) for row in layers for node in row})  # type: ignore[arg-type]
    ys = {node: HEIGHT / 2 + depth * (HEIGHT + GAP_Y) for depth, row in enumerate(layers) for node in row}
    points = {pair: [(xs[node], ys[node]) for node in chain] for pair, chain in chains.items()}
    return Layout(
        {name: (xs[name], ys[name]) for name in widths},
        {(a, b): points[b, a][::-1] if (a, b) in back else points[a, b] for a, b in pairs},
        max((xs[name] + widths[name] / 2 for name in widths), default=0.0),
        len(layers) * HEIGHT + (len(layers) - 1) * GAP_Y,
    )


def _back_edges(names: Iterable[str], pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Find edges that close a cycle, going depth first in the order of the file."""
    after: dict[str, list[str]] = {name: [] for name in names}
    for source, target in pairs:
        after[source].append(target)
    back: set[tuple[str, str]] = set()
    done: set[str] = set()
    for root in after:
        path: list[str] = []
        todo: list[tuple[str, bool]] = [(root, True)]
        while todo:
            name, entering = todo.pop()
            if not entering:
                path.pop()
                done.add(name)
            elif name not in done and name not in path:
                path.append(name)
                todo.append((name, False))
                back |= {(name, target) for target in after[name] if target in path}
                todo += [(target, True) for target in reversed(after[name]) if target not in path]
    return back


def _layers(names: Iterable[str], downward: Sequence[tuple[str, str]]) -> dict[str, int]:
    layer = dict.fromkeys(names, 0)
    for _ in layer:
        moved = False
        for source, target in downward:
            if layer[target] <= layer[source]:
                layer[target], moved = layer[source] + 1, True
        if not moved:
            break
    return layer


def _chain(pair: tuple[str, str], layer: Mapping[str, int]) -> list[Node]:
    source, target = pair
    return [source, *((source, target, depth) for depth in range(layer[source] + 1, layer[target])), target]


def _neighbours(chains: Iterable[Sequence[Node]]) -> dict[Node, tuple[list[Node], list[Node]]]:
    near: dict[Node, tuple[list[Node], list[Node]]] = {}
    for chain in chains:
        for upper, lower in pairwise(chain):
            near.setdefault(upper, ([], []))[1].append(lower)
            near.setdefault(lower, ([], []))[0].append(upper)
    return near


def _order(layers: list[list[Node]], near: Mapping[Node, tuple[list[Node], list[Node]]]) -> None:
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in layers if down else layers[::-1]:
            place = {node: index for other in layers for index, node in enumerate(other)}
            middle = {node: _mean(near.get(node, ([], []))[0 if down else 1], place, place[node]) for node in row}
            row.sort(key=lambda node: middle[node])


def _place(
    layers: Sequence[Sequence[Node]],
    near: Mapping[Node, tuple[list[Node], list[Node]]],
    width: Mapping[Node, float],
) -> dict[Node, float]:
    xs: dict[Node, float] = {}
    for row in layers:
        at = 0.0
        for node in row:
            xs[node] = at + width[node] / 2
            at += width[node] + GAP_X
    for sweep in range(_SWEEPS):
        for row in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = {
                node: _mean([*near.get(node, ([], []))[0], *near.get(node, ([], []))[1]], xs, xs[node]) for node in row
            }
            _pull(row, wanted, xs, width)
    left = min((xs[node] - width[node] / 2 for row in layers for node in row), default=0.0)
    return {node: x - left for node, x in xs.items()}


def _pull(
    row: Sequence[Node], wanted: Mapping[Node, float], xs: dict[Node, float], width: Mapping[Node, float]
) -> None:
    """Move a row towards where it wants to be: the mean of being packed from the left and from the right."""
    from_left: dict[Node, float] = {}
    edge = float("-inf")
    for node in row:
        from_left[node] = max(wanted[node], edge + width[node] / 2)
        edge = from_left[node] + width[node] / 2 + GAP_X
    edge = float("inf")
    for node in reversed(row):
        right = min(wanted[node], edge - width[node] / 2)
        xs[node] = (from_left[node] + right) / 2
        edge = right - width[node] / 2 - GAP_X


def _mean(nodes: Sequence[Node], place: Mapping[Node, float], otherwise: float) -> float:
    return sum(place[node] for node in nodes) / len(nodes) if nodes else otherwise
