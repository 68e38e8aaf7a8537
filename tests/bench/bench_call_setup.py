"""Second opinions on call set-up at one load: `zeng loadtest` beside SIPp, and beside Chromium on the page.

    OMP_NUM_THREADS=1 PYTHONPATH=. python tests/bench/bench_call_setup.py [calls a second] [seconds]

SIPp and ours place as many calls a second, each hung up soon after the answer; the time is INVITE to 200. Chromium and
ours call the page one after another; the time is from the press of the button, or from before our offer is made, to
media flowing, so Chromium's has its microphone and its rendering in it.
"""

from __future__ import annotations

import asyncio
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bot.loadtest.cli import write_report
from bot.loadtest.conductor import Conductor
from bot.loadtest.plan import Plan
from bot.loadtest.results import Report
from tests.e2e.chromium import chromium
from tests.e2e.service import RunningService, running_service

SIPP = Path(__file__).parents[1] / "data" / "sipp" / "uac_call.xml"
WEB_CALLS = 6
_STATE = "document.body.dataset.state"


def row(name: str, times: list[float], failed: int) -> str:
    p50, p95 = np.percentile(times, [50, 95]) if times else (0.0, 0.0)
    return f"| {name} | {len(times)} | {failed} | {p50:.0f} | {p95:.0f} |"


async def ours(target: str, shape: dict[str, object], folder: Path) -> Report:
    plan = Plan.model_validate(
        {
            "target": target, "shape": shape, "slo": {},
            "scenarios": [{"name": "set-up", "turns": [{"hang_up": True, "into_ms": 100}]}],
        }
    )  # fmt: skip
    folder.mkdir()
    report = await Conductor(plan, folder, on_progress=lambda *_: None, on_stage=lambda _: None).run()
    write_report(report, folder)
    return report


def times_of(report: Report) -> tuple[list[float], int]:
    (stage,) = report.stages
    return [call.answer_ms for call in stage.records if call.answer_ms], sum(stage.failures.values())


async def sipp(sip: str, *, rate: float, count: int, folder: Path) -> tuple[list[float], int]:
    host, port = sip.split("@")[1].split(":")
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        "sipp", f"{host}:{port}", "-sf", str(SIPP), "-s", "bot", "-i", "127.0.0.1", "-mi", "127.0.0.1", "-mp", "33000",
        "-r", str(rate), "-m", str(count), "-timeout", "120", "-nostdin", "-trace_rtt", "-rtt_freq", "1",
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    await process.wait()
    (table,) = folder.glob("*_rtt.csv")
    rows = list(csv.reader(table.open(), delimiter=";"))[1:]
    times = [float(cells[1]) for cells in rows if len(cells) > 1]  # when; response time; which
    return times, count - len(times)


async def browser_times(page_url: str, folder: Path) -> tuple[list[float], int]:
    times: list[float] = []
    folder.mkdir()
    async with chromium(folder) as browser:
        for _ in range(WEB_CALLS):
            async with browser.page() as page:
                await page.open(page_url)
                await page.evaluate("window.t0 = performance.now(); document.querySelector('#talk').click()")
                wanted = f"['listening', 'speaking'].includes({_STATE}) && performance.now() - window.t0"
                times.append(float(await page.wait_for(wanted, timeout_s=20)))
                await asyncio.sleep(0.3)  # a press that follows sooner is taken for a double click's
                await page.click("#talk")
                await page.wait_for(f"{_STATE} === 'ended'")
    return times, WEB_CALLS - len(times)


async def measure(service: RunningService, folder: Path, *, rate: float, seconds: float) -> None:
    print("| calls to | answered | failed | p50 ms | p95 ms |\n|---|--:|--:|--:|--:|")
    shape = {"burst_per_s": rate, "hold_s": seconds}
    print(row(f"SIP, ours, {rate:g}/s", *times_of(await ours(service.sip, shape, folder / "sip"))))
    await service.idle()
    print(
        row(
            f"SIP, SIPp, {rate:g}/s",
            *await sipp(service.sip, rate=rate, count=int(rate * seconds), folder=folder / "p"),
        )
    )
    await service.idle()
    one_after_another = {"burst_per_s": 0.5, "hold_s": 2.0 * WEB_CALLS}
    print(row("page, ours", *times_of(await ours(service.page, one_after_another, folder / "web"))))
    await service.idle()
    print(row("page, Chromium", *await browser_times(service.page, folder / "chromium")))


def main() -> None:
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_service(folder, ZENG_WORKERS__CALLS="60") as service:
            asyncio.run(measure(service, folder, rate=rate, seconds=seconds))


if __name__ == "__main__":
    main()
