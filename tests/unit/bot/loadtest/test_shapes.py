from __future__ import annotations

import pytest

from bot.loadtest.shapes import Stage, burst, ramp, soak, steps


def test_steps_hold_each_load_in_turn() -> None:
    assert [(stage.calls, stage.hold_s) for stage in steps([1, 2, 4], 30)] == [(1, 30), (2, 30), (4, 30)]


def test_callers_of_a_step_come_in_over_some_seconds_and_ten_a_second_at_most() -> None:
    assert Stage("", 1, 60).starts() == (0.0,)
    assert Stage("", 2, 60).starts() == pytest.approx([0.0, 1.0])
    assert Stage("", 8, 60).starts() == pytest.approx([float(n) for n in range(8)])
    assert Stage("", 100, 60).starts() == pytest.approx([0.1 * n for n in range(100)])


def test_the_coming_in_takes_no_more_than_a_quarter_of_a_step() -> None:
    assert max(Stage("", 1000, 60).starts()) < 15
    assert max(Stage("", 8, 4).starts()) < 1


def test_a_ramp_brings_callers_in_evenly() -> None:
    (stage,) = ramp(10, 100)

    assert stage.starts() == pytest.approx([9.0 * n for n in range(10)])


def test_a_burst_places_calls_at_its_rate() -> None:
    (stage,) = burst(5, 4)

    assert stage.starts() == pytest.approx([0.2 * n for n in range(20)])
    assert stage.calls == 20


def test_a_soak_is_judged_each_half_hour() -> None:
    parts = soak(10, 2.0)

    assert [part.hold_s for part in parts] == [1800.0] * 4
    assert len(soak(1, 0.1)) == 1


def test_generators_share_the_callers_without_overlap() -> None:
    stage = Stage("", 7, 60)

    assert sorted([*stage.share(0, 2), *stage.share(1, 2)]) == sorted(stage.starts())
    assert len(stage.share(0, 2)) == 4
