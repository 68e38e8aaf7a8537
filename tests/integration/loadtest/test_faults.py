"""Bots with seeded faults over real SIP and RTP: each is named in the report, and the well one is not accused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.loadtest.plan import Plan
from bot.loadtest.results import StageRecord
from tests.integration.loadtest.conftest import run_stage
from tests.integration.loadtest.faulty_bot import ANSWER_S, faulty_bot

pytestmark = pytest.mark.integration

SAY = {"user": "Salam"}
CUT_IN = {"user": "Salam", "into_ms": 1000}


def plan(target: str, turns: list[dict[str, object]], *, calls: int, hold_s: float, port: int) -> Plan:
    return Plan.model_validate(
        {
            "target": target, "shape": {"steps": [calls], "hold_s": hold_s}, "patience_ms": 500, "linger_ms": 0,
            "slo": {}, "scenarios": [{"name": "a", "turns": turns}], "rtp_port_min": port, "rtp_port_max": port + 99,
        }
    )  # fmt: skip


def names(stage: StageRecord) -> list[str]:
    return [finding.name for finding in stage.findings]


async def wrong_verdicts(folder: Path) -> list[str]:
    """Call a well bot and three faulty ones; what the report says wrongly of them."""
    async with faulty_bot(port_min=28_000) as uri:
        well, stalls, drops, deaf = await asyncio.gather(
            run_stage(plan(uri("well"), [CUT_IN, SAY], calls=1, hold_s=8, port=28_200), folder / "well"),
            run_stage(plan(uri("stalls"), [SAY], calls=2, hold_s=8, port=28_300), folder / "stalls"),
            run_stage(plan(uri("drops"), [SAY], calls=1, hold_s=8, port=28_400), folder / "drops"),
            run_stage(plan(uri("deaf"), [CUT_IN, SAY], calls=1, hold_s=8, port=28_500), folder / "deaf"),
        )
    latency = well.summaries["latency_ms"]
    verdicts = {
        # A busy machine adds stalls of its own: the rhythm is held to on the virtual clock, in the unit tests.
        "stalls": {"periodic_stalls", "stalls"} & set(names(stalls)),
        "drops": "frames_dropped" in names(drops),
        "deaf": "barge_in_ignored" in names(deaf),
        "well": not {"periodic_stalls", "frames_dropped", "barge_in_ignored", "ports_leaked"} & set(names(well)),
        # The bot's own answer time, its playout of the caller and the caller's of it: 20 to 60 ms each, 20 ms a packet.
        "latency": 1000 * ANSWER_S + 40 <= latency.p50.value <= 1000 * ANSWER_S + 200,
        "failed": well.figures["failed_call_share"] == 0.0,
        "missed": well.figures["missed_turn_share"] == 0.0,
    }
    return [name for name, right in verdicts.items() if not right]


async def test_each_fault_is_named_and_the_well_bot_is_not_accused(tmp_path: Path) -> None:
    found: list[list[str]] = []
    while not found or (found[-1] and len(found) < 3):  # a machine that stalls by itself gets another chance
        folder = tmp_path / str(len(found))
        folder.mkdir()
        found.append(await wrong_verdicts(folder))
    assert not found[-1], found


async def test_a_port_leaked_a_call_is_named(tmp_path: Path) -> None:
    hang_up: list[dict[str, object]] = [{"hang_up": True, "into_ms": 100}]
    async with faulty_bot(port_min=28_600) as uri:
        stage = await run_stage(
            plan(uri("leaks"), hang_up, calls=2, hold_s=4, port=28_800), tmp_path / "leaks", alone=True
        )

    assert names(stage) == ["ports_leaked"]
    assert len(stage.records) >= 4
