from __future__ import annotations

import pytest

from bot.loadtest.server_side import Snapshot, between


def test_the_growth_of_counters_over_a_stage_is_means_and_counts() -> None:
    before = {"zeng_turn_latency_seconds_count": 10.0, "zeng_turn_stage_seconds_sum|stage=recognition": 4.0}
    after = {
        "zeng_turn_latency_seconds_count": 14.0,
        "zeng_turn_stage_seconds_sum|stage=recognition": 5.2,
        "zeng_underruns_total|transport=sip": 3.0,
        "zeng_event_loop_late_seconds_bucket|le=0.05": 90.0,
        "zeng_event_loop_late_seconds_bucket|le=0.2": 98.0,
        "zeng_event_loop_late_seconds_bucket|le=+Inf": 100.0,
    }

    found = between(Snapshot(before), Snapshot(after), 60.0)

    assert found["recognition_ms"] == pytest.approx(300)
    assert (found["turns"], found["underruns"]) == (4, 3)
    assert (found["loop_late_over_50_ms"], found["loop_late_over_200_ms"]) == (10, 2)


def test_cpu_is_a_share_of_a_core_for_each_process_and_for_all() -> None:
    found = between(Snapshot({}, {999_999: 1.0}), Snapshot({}, {999_999: 31.0}), 60.0)

    assert found["cpu_all"] == pytest.approx(0.5)
    assert found["cpu gone"] == pytest.approx(0.5)


def test_what_cannot_be_seen_is_left_out() -> None:
    assert {name for name in between(Snapshot(), Snapshot(), 60.0) if not name.startswith("gpu")} == set()
