"""The bank and the utility as real calls over SIP and WebRTC at once: keypad, speech, tools, a language model.

The recogniser and the language model answer by a script, so that a call is the same every time; everything else is
`zeng serve` as it is served. The clinic is called in `test_sip_calls.py` with the real recogniser.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from bot.flows import demo_service
from bot.flows.loader import LIBRARY, read_text
from tests.e2e.caller import Caller, call_by_page, clip_24k
from tests.e2e.conftest import CLIPS, open_phones
from tests.e2e.footprint import conversations
from tests.e2e.service import RunningService, running_service
from tests.fakes.llm_server import Answer, LlmServer
from tests.fakes.llm_server import app as llm_app
from tests.waiting import HUNG_S

pytestmark = pytest.mark.timeout(300)
_FIN = "Beş, a, be, ce, bir, iki, üç."


def _recogniser() -> FastAPI:
    """Hear the same words in every turn."""
    made = FastAPI(openapi_url=None)

    @made.post("/v1/audio/transcriptions")
    async def transcribe() -> dict[str, str]:
        return {"text": _FIN}

    return made


@asynccontextmanager
async def _serving(app: FastAPI) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await task


class _Calls:
    """A call by telephone and one by browser, step by step alongside each other."""

    def __init__(self, service: RunningService, *callers: Caller) -> None:
        self._service = service
        self.callers = callers

    async def until(self, *states: str) -> None:
        """Wait until both calls have come to one of the states."""
        try:
            async with asyncio.timeout(HUNG_S):
                while sum([await self._service.entered(state) for state in states]) < len(self.callers):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"{states} not reached: {await conversations(self._service)}")

    async def press(self, keys: str, *states: str) -> None:
        await asyncio.gather(*(caller.leg.send_digits(keys) for caller in self.callers))
        await self.until(*states)

    async def say(self, *states: str) -> None:
        await asyncio.sleep(0.5)  # the bot has begun its question
        await asyncio.gather(*(caller.say(clip_24k(CLIPS / "beli.wav")) for caller in self.callers))
        await self.until(*states)


@asynccontextmanager
async def _calling(service: RunningService) -> AsyncIterator[_Calls]:
    async with open_phones(service.sip) as phones:
        browser = await call_by_page(service.page)
        calls = _Calls(service, await phones.call(), browser)
        await asyncio.gather(*(caller.until_bot_has_begun(seconds=20) for caller in calls.callers))
        yield calls
        assert all(sum(map(len, caller.heard)) > 16_000 for caller in calls.callers)
        await asyncio.gather(*(caller.hang_up() for caller in calls.callers))
        await service.idle()


async def _bank(service: RunningService, flow: Path) -> None:
    async with _calling(service) as calls:
        await calls.until("menu")
        await calls.press("1", "ask_fin")
        await asyncio.sleep(8.5)  # the disclosure cannot be talked over, and a key does not cut it
        await calls.say("ask_fin")
        await asyncio.sleep(3.0)  # the FIN is read back
        await calls.press("1", "ask_birth_day")
        await calls.press("14051990", "tell_balance")
        await calls.press("2", "ask_card")
        await calls.press("4321", "ask_agreed")
        await calls.press("1", "blocked", "blocked_before")
        assert (await service.entered("blocked"), await service.entered("blocked_before")) == (1, 1)
        written = str(await conversations(service)) + service.log.read_text(errors="replace")
    for personal in ("5ABC123", "eş, a, be, ce", "eş a be ce", "14051990", "1990-05-14", "1250", "4321"):
        assert personal not in written
    assert "••• var" in written
    await _edited(service, flow)


async def _edited(service: RunningService, flow: Path) -> None:
    """A mistake in the file is told and not served; what is mended is served."""

    async def ready() -> dict[str, str]:
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            return (await client.get(f"{service.page}/readyz")).json()

    good = flow.read_text(encoding="utf-8")
    assert await ready() == {"status": "ready"}
    for text, is_refused in ((good.replace("start: menu", "start: menyu"), True), (good + "\n# mended\n", False)):
        flow.write_text(text, encoding="utf-8")
        async with asyncio.timeout(HUNG_S):
            while ("flow_refused" in await ready()) is not is_refused:
                await asyncio.sleep(0.1)
        if is_refused:
            assert "there is no state 'menyu'" in (await ready())["flow_refused"]
        assert (await service.samples())["zeng_flow_refused"] == float(is_refused)
    assert "flow refused" in service.log.read_text(errors="replace")


async def _kommunal(service: RunningService, asked: LlmServer) -> None:
    async with _calling(service) as calls:
        await calls.until("menu")
        await asyncio.sleep(8.5)  # the disclosure cannot be talked over
        await calls.say("ask_subscriber")
        assert len(asked.asked) >= 2
        assert json.loads(asked.last_user()) == {"caller": _FIN}
        await calls.press("12345678", "ask_subscriber")
        await asyncio.sleep(1.5)
        await calls.press("1", "ask_reading")
        await calls.press("4300#", "ask_reading")
        await asyncio.sleep(1.5)
        await calls.press("1", "accepted")


async def test_the_bank_by_rules_and_the_utility_by_a_language_model_are_called_by_telephone_and_browser(
    tmp_path: Path,
) -> None:
    model = LlmServer([Answer(calls=[("choose_reading", {})])])
    store = demo_service.Store()
    async with (
        _serving(demo_service.create_app(store)) as tools,
        _serving(_recogniser()) as recogniser,
        _serving(llm_app(model)) as llm,
    ):

        def service(name: str, engine: str, ports: int, **settings: str) -> Callable[[ExitStack], RunningService]:
            folder = tmp_path / name
            folder.mkdir()
            text = read_text(LIBRARY / f"{name}.flow.yaml").replace("engine: hybrid", f"engine: {engine}")
            text = text.replace(f"127.0.0.1:{demo_service.PORT}", tools)
            (folder / f"{name}.flow.yaml").write_text(text, encoding="utf-8")
            made = running_service(
                folder,
                command="serve",
                ZENG_FLOW__PATH=str(folder / f"{name}.flow.yaml"),
                ZENG_FLOW__PRIVATE_HOSTS='["127.0.0.1"]',
                ZENG_RECOGNISER__URL=f"http://{recogniser}/v1",
                ZENG_UNDERSTANDING__ENGINE="off",
                ZENG_RTP__PORT_MIN=str(ports),
                ZENG_RTP__PORT_MAX=str(ports + 199),
                **settings,
            )
            return lambda stack: stack.enter_context(made)

        bank = service("bank", "rules", 33000)
        kommunal = service("kommunal", "llm", 33200, ZENG_LLM__URL=f"http://{llm}/v1", ZENG_LLM__MODEL="scripted")
        with ExitStack() as stack:
            banking, utility = await asyncio.gather(asyncio.to_thread(bank, stack), asyncio.to_thread(kommunal, stack))
            await asyncio.gather(_bank(banking, tmp_path / "bank" / "bank.flow.yaml"), _kommunal(utility, model))
    assert store.readings["12345678"] == 4300
    assert store.blocked == {"4321"}
