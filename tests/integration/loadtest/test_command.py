"""`zeng loadtest` as a person types it, its own processes included."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from bot.loadtest.results import Report
from tests.integration.loadtest.faulty_bot import faulty_bot

pytestmark = pytest.mark.integration

_PLAN = """
version: 1
target: sip:overridden@127.0.0.1
patience_ms: 500
linger_ms: 0
shape: {steps: [1], hold_s: 60}
scenarios: [{name: hello, turns: [{user: Salam, into_ms: 800}]}]
slo: {latency_p95_ms: 100}
"""


async def zeng(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", "loadtest", *arguments, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_run_leaves_its_report_and_tells_a_broken_promise_by_its_exit_code(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(_PLAN, encoding="utf-8")
    async with faulty_bot(port_min=26_000) as uri:
        code, output = await zeng(
            "run", str(plan), "--target", uri("well"), "--hold", "4", "--out", str(tmp_path / "out")
        )

    report = Report.model_validate_json((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    (stage,) = report.stages
    assert code in {1, 3}, output  # 3 where this machine is too busy to be believed
    assert "latency_p95_ms" in output
    assert stage.summaries["latency_ms"].count >= 1
    assert stage.health[0].floor_ms is not None
    assert stage.server["cpu_all"] > 0  # found by the port that it called
    for name in ("report.md", "report.html"):
        assert (tmp_path / "out" / name).stat().st_size > 1000
