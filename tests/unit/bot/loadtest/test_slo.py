from __future__ import annotations

from bot.loadtest.slo import judge


def test_upper_bounds_and_lower_bounds_hold_at_the_bound() -> None:
    found = judge({"latency_p95_ms": 800, "mos_p5": 4.0}, {"latency_p95_ms": 800.0, "mos_p5": 4.0})

    assert [one.held for one in found] == [True, True]


def test_a_promise_is_broken_beyond_its_bound_and_says_so() -> None:
    slow, poor = judge({"latency_p95_ms": 800, "mos_p5": 4.0}, {"latency_p95_ms": 900.5, "mos_p5": 3.2})

    assert not slow.held
    assert not poor.held
    assert str(slow) == "latency_p95_ms ≤ 800: 900.5"
    assert str(poor) == "mos_p5 ≥ 4: 3.2"


def test_what_was_not_measured_is_not_kept() -> None:
    (found,) = judge({"barge_in_p95_ms": 250}, {})

    assert not found.held
    assert str(found) == "barge_in_p95_ms ≤ 250: not measured"
