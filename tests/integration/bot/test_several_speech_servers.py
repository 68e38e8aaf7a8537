"""A call while one of two speech servers dies: real servers in processes of their own, Pipecat's real pipeline."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace

import httpx
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from bot.flows.actions import HangUp, Say
from bot.metrics import CallMetrics
from bot.settings import SpeechSettings
from bot.worker_parts import _speech
from telephony.leg import EndCause
from tests.fakes.speech import FRAME_BYTES, tone
from tests.fakes.speech_process import speech_process
from tests.integration.bot.call_stage import SetStage

LONG = "Buyurun, bu cümlə səsli köməkçinin deyə biləcəyindən də uzundur"
HOLD_AT = 40


def said(text: str) -> bytes:
    return b"".join(tone(text, n) for n in range(len(text)))


async def streams(url: str) -> float:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        page = (await client.get(f"{url}/metrics")).text
    return next(float(line.split()[1]) for line in page.splitlines() if line.startswith("zeng_tts_streams_active "))


async def test_a_caller_hears_the_rest_of_the_dialogue_when_the_server_that_speaks_is_killed(stage: SetStage) -> None:
    registry = CollectorRegistry()
    s = stage(Say(LONG), Say("Bəli"), Say("Sağ olun"), HangUp())
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(speech_process(hold_at=HOLD_AT)) for _ in range(2)]
        settings = SpeechSettings(url=servers[0][1], more_urls=(servers[1][1],))
        logged = stack.enter_context(capture_logs())
        metrics = CallMetrics(registry)
        speech = await _speech(settings, metrics, stack)
        running = s.begin(replace(s.services, speech=speech, metrics=metrics))
        await s.until(lambda: len(s.leg.sent) >= (HOLD_AT - 3) * FRAME_BYTES)
        (spoke,) = [(process, url) for process, url in servers if await streams(url) == 1]
        (other,) = [url for _, url in servers if url != spoke[1]]

        spoke[0].kill()
        await s.until(lambda: "said" in s.flow.log)
        s.leg.press("1")
        await s.until(lambda: s.flow.log.count("said") == 2)
        assert said("Bəli") in s.leg.sent
        s.leg.press("2")
        ended = await running

        assert ended.cause is EndCause.BOT_HUNG_UP
        assert said("Sağ olun") in s.leg.sent
        assert [turn.text for turn in s.store.turns] == [LONG, "Bəli", "Sağ olun"]
        assert [line["server"] for line in logged if line["log_level"] == "warning" and "server" in line] == [spoke[1]]
        up = [registry.get_sample_value("zeng_speech_server_up", {"server": url}) for url in (spoke[1], other)]
        assert up == [0, 1]
