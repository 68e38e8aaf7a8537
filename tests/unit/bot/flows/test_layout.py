from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bot.flows.layout import GAP_X, HEIGHT, lay_out

_NAMES = [f"n{number}" for number in range(9)]
_EDGES = st.lists(st.tuples(st.sampled_from(_NAMES), st.sampled_from(_NAMES)), max_size=25)
_WIDTHS = st.lists(st.floats(20, 200), min_size=len(_NAMES), max_size=len(_NAMES))


def test_nothing_takes_no_room() -> None:
    assert lay_out({}, []).centres == {}


def test_a_chain_goes_straight_down() -> None:
    layout = lay_out(dict.fromkeys("abc", 60.0), [("a", "b"), ("b", "c")])
    assert {x for x, _ in layout.centres.values()} == {30.0}
    (_, a), (_, b), (_, c) = (layout.centres[name] for name in "abc")
    assert a < b < c
    assert (layout.width, layout.height) == (60.0, c + HEIGHT / 2)


def test_a_way_back_goes_up_and_a_long_way_has_a_bend_in_every_layer() -> None:
    layout = lay_out(dict.fromkeys("abc", 60.0), [("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")])
    up, down = layout.ways["c", "a"], layout.ways["a", "c"]
    assert [y for _, y in up] == [y for _, y in down][::-1]
    assert len(up) == len(down) == 3


def test_crossings_are_undone_where_an_order_has_none() -> None:
    layout = lay_out(dict.fromkeys("abxy", 60.0), [("a", "y"), ("b", "x")])
    x = {name: centre[0] for name, centre in layout.centres.items()}
    assert (x["a"] < x["b"]) == (x["y"] < x["x"])


@given(_WIDTHS, _EDGES)
def test_no_boxes_overlap_and_every_way_joins_its_two(widths: list[float], edges: list[tuple[str, str]]) -> None:
    sized = dict(zip(_NAMES, widths, strict=True))
    layout = lay_out(sized, edges)
    assert layout == lay_out(sized, edges)
    rows: dict[float, list[tuple[float, float]]] = {}
    for name, (x, y) in layout.centres.items():
        rows.setdefault(y, []).append((x - sized[name] / 2, x + sized[name] / 2))
        assert x - sized[name] / 2 >= -0.01
        assert x + sized[name] / 2 <= layout.width + 0.01
    for row in rows.values():
        row.sort()
        assert all(right + GAP_X <= left + 0.01 for (_, right), (left, _) in pairwise(row))
    for source, target in edges:
        if source != target:
            way = layout.ways[source, target]
            assert (way[0], way[-1]) == (layout.centres[source], layout.centres[target])
            assert way[0][1] != way[-1][1]
