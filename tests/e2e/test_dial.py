"""`zeng dial`: the running service calls somebody, who hears the flow and hangs up."""

from __future__ import annotations

import asyncio
import os
import sys

import httpx

from telephony.leg import CallLeg, EndCause, LegEnded, RejectReason
from tests.e2e.service import ROOT, RunningService
from tests.integration.telephony.sip_house import house


async def zeng_dial(service: RunningService, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot.cli", "dial", "--url", service.page, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    async with asyncio.timeout(30.0):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def answer_and_leave(leg: CallLeg) -> None:
    await leg.answer()
    await asyncio.sleep(1.5)
    await leg.hang_up()


async def test_the_service_calls_somebody_and_says_how_it_went(service: RunningService) -> None:
    async with house(answer_and_leave) as callee:
        code, said = await zeng_dial(service, callee.uri(), "--flow", "bank", "--caller", "+994121234567")
        await callee.settled()

        assert (code, said.splitlines()[-2:]) == (0, ["answered", "ended caller_hung_up Q.850;cause=16 Q.850 16"])
        assert callee.ends() == [LegEnded(EndCause.BOT_HUNG_UP)]
    await service.idle()


async def test_a_far_end_that_is_busy_is_reported(service: RunningService) -> None:
    async def busy(leg: CallLeg) -> None:
        await leg.reject(RejectReason.BUSY)

    async with house(busy) as callee:
        code, said = await zeng_dial(service, callee.uri())

    assert (code, said.splitlines()[-1]) == (1, "ended failed 486 Busy Here Q.850 17")
    await service.idle()


async def test_nobody_is_called_whom_the_settings_do_not_name(service: RunningService) -> None:
    code, said = await zeng_dial(service, "sip:+990900@premium.example")

    assert (code, "outbound_allowed" in said) == (1, True)
    async with httpx.AsyncClient(base_url=service.page) as http:
        refused = await http.post("/api/calls", json={"target": "100"})
        foreign = await http.post(
            "/api/calls", json={"target": "sip:a@127.0.0.1"}, headers={"Origin": "https://evil.example"}
        )
    assert (refused.status_code, foreign.status_code) == (503, 403)
