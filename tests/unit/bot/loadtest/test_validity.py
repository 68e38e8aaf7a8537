from __future__ import annotations

from dataclasses import replace

import pytest

from bot.loadtest.validity import GeneratorHealth, faults

WELL = GeneratorHealth(0.3, 2.0, 15.0, 60.0, 80.0, 0, 0, 500)


def test_a_healthy_generator_is_believed() -> None:
    assert faults(WELL) == ()
    assert faults(replace(WELL, floor_ms=None)) == ()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"cpu_share": 0.95}, "95 % of its core"),
        ({"loop_late_p99_ms": 40.0}, "40 ms late"),
        ({"paced_late_ms_max": 300.0}, "300 ms late"),
        ({"floor_ms": 400.0}, "echo"),
        ({"udp_drops": 3}, "3 datagrams"),
        ({"frames_dropped": 5}, "5 frames"),
        ({"ports_free": 2}, "2 RTP ports"),
    ],
)
def test_each_fault_of_its_own_makes_the_run_invalid(change: dict[str, float], word: str) -> None:
    (fault,) = faults(replace(WELL, **change))  # type: ignore[arg-type]

    assert word in fault
