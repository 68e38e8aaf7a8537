"""SIGTERM in the middle of a call."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import httpx
import pytest

from telephony.leg import EndCause
from tests.e2e.conftest import open_phones
from tests.e2e.raw_sip import GOOD_SDP, RawCall
from tests.e2e.service import RunningService, running_service
from tests.waiting import HUNG_S, eventually

_GRACE_S = 5.0  # what a service gives its processes to end, once no call is waited for


async def _until_over(service: RunningService) -> None:
    await eventually(lambda: service.process.poll() is not None)
    assert service.process.returncode == 0


async def _answers(service: RunningService) -> dict[str, int]:
    """What a proxy that probes is told, and a new caller."""
    answers: dict[str, int] = {}
    for method in ("OPTIONS", "INVITE"):
        with contextlib.closing(RawCall(service.sip)) as call:
            call.send(method, sdp=GOOD_SDP if method == "INVITE" else "")
            answers[method] = await call.final(method)
    return answers


async def test_a_service_that_is_asked_to_end_lets_its_call_end_first(tmp_path: Path) -> None:
    with running_service(tmp_path, ZENG_WORKERS__DRAIN_S="60") as service:
        async with open_phones(service.sip) as phones:
            caller = await phones.call()
            await caller.until_bot_is_silent()

            service.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(_GRACE_S + 1.0)
            await caller.until_bot_speaks()  # asked again, after a silence: recogniser, flow and voice are there yet
            async with httpx.AsyncClient(base_url=service.page) as client:
                ready, alive = await client.get("/readyz"), await client.get("/livez")
            assert (ready.status_code, alive.status_code) == (503, 200)
            assert await _answers(service) == {"OPTIONS": 503, "INVITE": 503}
            assert caller.ended is None
            assert "waiting for 1 calls" in service.log.read_text()

            await caller.hang_up()
            await _until_over(service)


@pytest.mark.parametrize("drain_s", [1, 600])  # the time runs out, or whoever waits has had enough
async def test_a_call_that_is_waited_for_no_longer_is_hung_up(tmp_path: Path, drain_s: int) -> None:
    with running_service(tmp_path, ZENG_WORKERS__DRAIN_S=str(drain_s)) as service:
        async with open_phones(service.sip) as phones:
            caller = await phones.call()
            await caller.until_bot_speaks()

            service.process.send_signal(signal.SIGTERM)
            if drain_s > HUNG_S:
                await eventually(lambda: "waiting for 1 calls" in service.log.read_text())
                service.process.send_signal(signal.SIGTERM)
            assert (await caller.until_ended()).cause is EndCause.CALLER_HUNG_UP  # by BYE; here the bot is the far end
            await _until_over(service)
