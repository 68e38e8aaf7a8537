"""The product as a person starts it, on free ports: `zeng demo` in a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]


@dataclass
class RunningService:
    """Where to call it, and what it says of itself."""

    process: asyncio.subprocess.Process
    page: str
    sip: str
    log: Path

    @property
    def sip_port(self) -> int:
        return int(self.sip.rsplit(":", 1)[1])

    async def samples(self) -> dict[str, float]:
        """Metrics, added up over workers, keyed by name and labels but the worker."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{self.page}/metrics")).text
        totals: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = {k: v for k, v in sorted(sample.labels.items()) if k != "worker"}
                key = sample.name + "".join(f"|{k}={v}" for k, v in labels.items())
                totals[key] = totals.get(key, 0.0) + sample.value
        return totals

    async def bookings(self) -> list[dict[str, str]]:
        """What reached the clinic's booking service."""
        async with httpx.AsyncClient() as client:
            return (await client.get("http://127.0.0.1:8077/v1/bookings")).json()["bookings"]

    async def idle(self, *, seconds: float = 10.0) -> None:
        """Wait until no call is left."""
        async with asyncio.timeout(seconds):
            while any(v for k, v in (await self.samples()).items() if k.startswith("zeng_calls_active")):
                await asyncio.sleep(0.2)


@asynccontextmanager
async def running_service(folder: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[RunningService]:
    """Start it, yield it once its banner is out, and end it by Ctrl-C; a dirty end fails the test."""
    log = folder / "service.log"
    environment = {
        **os.environ,
        "ZENG_SIP__PORT": "0",
        "ZENG_WEB__PORT": "0",
        "ZENG_RTP__PORT_MIN": "30000",
        "ZENG_RTP__PORT_MAX": "30399",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        **(settings or {}),
    }
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot.cli", "demo", "--log-level", "INFO",
            cwd=ROOT, env=environment, stdout=stream, stderr=stream, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            page, sip = await _banner(process, log)
            yield RunningService(process, page, sip, log)
            process.send_signal(signal.SIGINT)
            code = await asyncio.wait_for(process.wait(), 20.0)
            assert code == 0, log.read_text()[-3000:]
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _banner(process: asyncio.subprocess.Process, log: Path) -> tuple[str, str]:
    async with asyncio.timeout(120):
        while True:
            text = log.read_text(errors="replace")
            page, phone = re.search(r"page +(http://\S+)", text), re.search(r"phone +(sip:\S+)", text)
            if page and phone:
                return page[1], phone[1]
            assert process.returncode is None, f"the service ended at start:\n{text[-3000:]}"
            await asyncio.sleep(0.1)
