"""The product as a person starts it, on free ports: `zeng demo` in a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bot.flows import demo_service
from tests.waiting import HUNG_S

ROOT = Path(__file__).parents[2]
_START_TIMEOUT_S = 240.0  # the model files are fetched at the first start of a machine


def _client() -> httpx.AsyncClient:
    """Without TLS's authorities: to read them takes 20 ms, in which the test's own calls would stand still."""
    return httpx.AsyncClient(trust_env=False, verify=False)


@dataclass
class RunningService:
    """Where to call it, and what it says of itself."""

    process: subprocess.Popen[bytes]
    page: str
    sip: str
    log: Path

    async def samples(self) -> dict[str, float]:
        """Metrics, added up over workers, keyed by name and labels but the worker."""
        async with _client() as client:
            text = (await client.get(f"{self.page}/metrics")).text
        totals: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = {k: v for k, v in sorted(sample.labels.items()) if k != "worker"}
                key = sample.name + "".join(f"|{k}={v}" for k, v in labels.items())
                totals[key] = totals.get(key, 0.0) + sample.value
        return totals

    async def entered(self, state: str) -> float:
        """How often the flow has entered a state, in all calls."""
        return (await self.samples()).get(f"zeng_flow_states_total|state={state}", 0.0)

    async def bookings(self) -> list[dict[str, str]]:
        """What reached the clinic's booking service, which has another port where another demo runs."""
        told = re.search(r"bookings are on (\S+)", self.log.read_text(errors="replace"))
        place = told[1] if told else f"{demo_service.HOST}:{demo_service.PORT}"
        async with _client() as client:
            return (await client.get(f"http://{place}/v1/bookings")).json()

    async def idle(self, *, seconds: float = HUNG_S) -> None:
        """Wait until no call is left in any worker."""
        async with asyncio.timeout(seconds):
            while any(v for k, v in (await self.samples()).items() if k.startswith("zeng_calls_active")):
                await asyncio.sleep(0.2)


@contextmanager
def running_service(
    folder: Path, *arguments: str, command: str = "demo", voice: str | None = "espeak", **settings: str
) -> Iterator[RunningService]:
    """Start it, yield it once its banner is out, and end it by Ctrl-C; a dirty end fails the test.

    voice: None: the one that ships, which takes a core while it speaks.
    """
    spoken_by = () if voice is None else ("--voice", voice)
    log = folder / "service.log"
    environment = {
        **os.environ,
        "ZENG_SIP__PORT": "0",
        "ZENG_WEB__PORT": "0",
        "ZENG_RTP__PORT_MIN": "30000",
        "ZENG_RTP__PORT_MAX": "30399",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        **settings,
    }
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot.cli", command, "--log-level", "INFO", *spoken_by, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
        )
        try:
            page, sip = _banner(process, log)
            yield RunningService(process, page, sip, log)
            process.send_signal(signal.SIGINT)
            assert process.wait(30.0) == 0, log.read_text()[-3000:]
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _banner(process: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    give_up_at = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < give_up_at:
        text = log.read_text(errors="replace")
        page, phone = re.search(r"page +(http://\S+)", text), re.search(r"phone +(sip:\S+)", text)
        if page and phone:
            return page[1], phone[1]
        assert process.poll() is None, f"the service ended at start:\n{text[-3000:]}"
        time.sleep(0.1)
    raise AssertionError(f"the service did not start:\n{log.read_text()[-3000:]}")
