"""Several generator processes under one conductor: they share callers, ports and the report."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from pathlib import Path

import pytest

from bot.loadtest.clips import ClipLibrary
from bot.loadtest.conductor import Conductor
from bot.loadtest.generator import Generator
from bot.loadtest.lines import CallFailed, Rung
from bot.loadtest.plan import Plan
from bot.loadtest.shapes import Stage
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


class _DeafLine:
    """A line whose socket is sent more than it holds, in its first call."""

    ports_free = 100

    def __init__(self) -> None:
        self.signalling: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self._socket.bind(("127.0.0.1", 0))
        self._flooded = False

    async def call(self) -> Rung:
        for _ in range(0 if self._flooded else 50):
            self._socket.sendto(bytes(1000), self._socket.getsockname())
        self._flooded = True
        await asyncio.sleep(0)
        raise CallFailed("deaf")

    def close(self) -> None:
        self._socket.close()


async def test_datagrams_lost_in_one_stage_make_that_stage_invalid_and_none_after_it(tmp_path: Path) -> None:
    line = _DeafLine()
    scenario = {"name": "a", "turns": [{"user": "Salam"}]}
    plan = Plan.model_validate(
        {"target": "sip:a@127.0.0.1", "shape": {"steps": [1], "hold_s": 1}, "scenarios": [scenario]}
    )
    generator = Generator(plan, line, None, index=0, folder=tmp_path, clips=ClipLibrary())
    first, second = [await generator.run(Stage(name, 1, 0.6)) for name in ("first", "second")]
    line.close()

    assert first.health.udp_drops > 0
    assert second.health.udp_drops == 0
