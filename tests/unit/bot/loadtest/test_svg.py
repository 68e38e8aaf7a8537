from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.loadtest.svg import Dot, over_load, over_time, shares, ticks


@pytest.mark.parametrize(
    ("top", "expected"),
    [(100, (0, 20, 40, 60, 80, 100)), (4390, (0, 1000, 2000, 3000, 4000, 5000)), (0.96, (0, 0.2, 0.4, 0.6, 0.8, 1.0))],
)
def test_axes_have_round_numbers(top: float, expected: tuple[float, ...]) -> None:
    assert ticks(top) == pytest.approx(expected)


@given(st.floats(1e-3, 1e6))
def test_an_axis_holds_its_largest_value_and_few_numbers(top: float) -> None:
    marks = ticks(top)

    assert marks[-1] >= top * (1 - 1e-9)
    assert 2 <= len(marks) <= 7


def drawn(figure: str) -> ElementTree.Element:
    return ElementTree.fromstring(re.findall(r"<svg.*?</svg>", figure)[0])


def test_a_load_without_the_figure_is_a_hole_and_intervals_are_drawn() -> None:
    figure = over_load("a", [1, 2, 4], {"p50": [(400, 350, 480), None, (600, 600, 600)]}, unit="ms")

    picture = drawn(figure)
    assert len(picture.findall("circle")) == 2
    assert len(picture.findall("path")) == 1
    assert "p50: 400 ms (95 %: 350 to 480)" in figure


def test_loads_that_double_stand_at_equal_distances() -> None:
    value = (1.0, 1.0, 1.0)
    picture = drawn(over_load("a", [1, 2, 4, 8], {"x": [value] * 4}, unit=""))

    places = [float(circle.attrib["cx"]) for circle in picture.findall("circle")]
    assert places[1] - places[0] == pytest.approx(places[3] - places[2], abs=0.2)


def test_a_promise_is_a_line_unless_it_is_out_of_all_proportion() -> None:
    def figure(bound: float) -> str:
        return over_load("a", [1], {"p95": [(400, 400, 400)]}, unit="ms", bounds={"promise": bound})

    assert 'class="bound"' in figure(500)
    assert 'class="bound"' not in figure(5000)


def test_a_distribution_climbs_to_the_whole_at_its_largest_value() -> None:
    figure = shares("a", {"2 calls": [300, 100], "none": []}, unit="ms")

    (path,) = drawn(figure).findall("path")
    assert path.attrib["d"].count("V") == 2
    assert "none" not in figure


def test_what_there_is_nothing_of_is_not_drawn() -> None:
    assert over_load("a", [1], {"p50": [None]}, unit="ms") == ""
    assert shares("a", {"x": []}, unit="ms") == ""
    assert over_time("a", [], {}, kinds=(), unit="ms", length_s=1.0) == ""


def test_an_event_stands_at_its_time_with_its_words() -> None:
    dots = [Dot(at_s, 400.0, "voice", f"at {at_s}") for at_s in (0.0, 30.0, 60.0)]
    picture = drawn(over_time("a", dots, {"<1 call>": 0.0}, kinds=("voice",), unit="ms", length_s=60.0))

    first, middle, last = (float(circle.attrib["cx"]) for circle in picture.findall("circle"))
    assert middle - first == pytest.approx(last - middle, abs=0.2)
