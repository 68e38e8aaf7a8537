"""Several generator processes under one conductor: they share callers, ports and the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.loadtest.conductor import Conductor
from bot.loadtest.plan import Plan
from tests.integration.loadtest.faulty_bot import faulty_bot

pytestmark = pytest.mark.integration


async def test_a_process_without_callers_and_one_with_several_make_one_report(tmp_path: Path) -> None:
    async with faulty_bot(port_min=24_000) as uri:
        plan = Plan.model_validate(
            {
                "target": uri("well"), "shape": {"steps": [1, 3], "hold_s": 3}, "processes": 2, "patience_ms": 300,
                "linger_ms": 0, "slo": {"failed_call_share": 0.0}, "rtp_port_min": 24_200, "rtp_port_max": 24_399,
                "scenarios": [{"name": "a", "turns": [{"user": "Salam", "into_ms": 500}]}],
            }
        )  # fmt: skip
        conductor = Conductor(plan, tmp_path, on_progress=lambda *_: None, on_stage=lambda _: None)
        report = await conductor.run()

    alone, together = report.stages
    assert [len(stage.health) for stage in report.stages] == [2, 2]
    assert alone.health[1].cpu_share == 0.0  # it had no caller, and nothing is wrong with that
    assert {record.call.partition("-")[0] for record in together.records} == {"g0", "g1"}
    assert not together.failures
    assert all(one.floor_ms is not None for stage in report.stages for one in stage.health)
