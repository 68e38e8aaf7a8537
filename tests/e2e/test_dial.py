"""`zeng dial`: the running service calls somebody, who hears the flow and hangs up."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import numpy as np

from telephony.leg import CallLeg, EndCause, LegEnded, RejectReason
from telephony.rtp.factory import RtpMediaFactory
from telephony.settings import RtpSettings, SipSettings
from telephony.sip.endpoint import serve_sip
from tests.e2e.caller import Caller, clip_24k
from tests.e2e.conftest import CLIPS
from tests.e2e.service import ROOT, RunningService
from tests.integration.telephony.sip_house import house
from tests.waiting import HUNG_S


async def zeng_dial(service: RunningService, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot.cli", "dial", "--url", service.page, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    async with asyncio.timeout(HUNG_S):
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
    ended = [line for line in service.log.read_text().splitlines() if "call ended" in line]
    assert "flow=bank " in ended[-1]  # not that of the settings


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


async def test_a_variable_that_the_flow_does_not_declare_places_no_call(service: RunningService) -> None:
    for variable, said in (("dya=2026-12-01", "has no variable dya"), ("operator=sip:a@b", "set [flow] operator")):
        refused = await zeng_dial(service, "sip:phone@127.0.0.1:9", "--flow", "xatirlatma", "--variable", variable)

        assert (refused[0], said in refused[1]) == (1, True), refused


@asynccontextmanager
async def callee(script: Callable[[Caller], Awaitable[None]]) -> AsyncIterator[str]:
    """Answer one call with real sound; gives where to call. What the script asserts counts at the end."""
    calls: list[asyncio.Task[None]] = []

    async def run(leg: CallLeg) -> None:
        await leg.answer()
        caller = Caller(leg)
        await script(caller)
        await caller.hang_up()

    media = RtpMediaFactory(RtpSettings(port_min=32200, port_max=32299))
    await media.start()
    endpoint, sockets = await serve_sip(
        SipSettings(port=0), media=media, on_call=lambda leg: calls.append(asyncio.create_task(run(leg)))
    )
    try:
        yield f"sip:phone@127.0.0.1:{sockets.address[1]}"
        async with asyncio.timeout(HUNG_S):
            await asyncio.gather(*calls)
        assert calls
    finally:
        await endpoint.close()
        await sockets.close()
        await media.stop()


BEEP = (8000 * np.sin(2 * np.pi * 1000 * np.arange(24_000 * 2 // 5) / 24_000)).astype(np.int16).tobytes()
_REMINDER = ("--flow", "xatirlatma", "--variable", "day=2026-12-01", "--variable", "time=14:30")


async def test_an_answering_machine_is_left_a_message_after_its_beep(service: RunningService) -> None:
    heard_early: list[float] = []

    async def machine(line: Caller) -> None:
        await line.say(clip_24k(CLIPS / "telefon.wav"))
        await asyncio.sleep(0.5)
        heard_early.extend(line.bot_starts)
        began = await asyncio.gather(line.until_bot_speaks(seconds=20.0), line.say(BEEP))
        assert began[0] > line.said[-1][1]

    async with callee(machine) as uri:
        code, said = await zeng_dial(service, uri, *_REMINDER)

    assert heard_early == []
    assert (code, "answered by recording" in said.splitlines()) == (0, True), said
    await service.idle()


async def test_a_human_who_says_hello_is_spoken_to(service: RunningService) -> None:
    async def human(line: Caller) -> None:
        await line.say(clip_24k(CLIPS / "salam.wav"))
        await line.until_bot_speaks(seconds=20.0)

    async with callee(human) as uri:
        code, said = await zeng_dial(service, uri, *_REMINDER)

    assert (code, "answered by human" in said.splitlines()) == (0, True), said
    await service.idle()
