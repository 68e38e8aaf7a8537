"""`zeng tts engine` and two `zeng tts serve` that speak by it, as processes, over PyTorch."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.fakes.tiny_csm import write_tiny_csm
from tests.waiting import HUNG_S, START_S
from tts_engine.client import SpeechClient
from tts_engine.errors import SpeechEngineError
from tts_engine.protocol import SpeechRequest

FRAME_BYTES = 3840
SHORT = SpeechRequest(text="Salam.", seed=1, max_new_tokens=6)
LONG = SpeechRequest(text="Salam, mən səsli köməkçiyəm. " * 3, seed=1, max_new_tokens=300)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {
        "OMP_NUM_THREADS": "1",
        "ZENG_TTS__BACKEND": "torch",
        "ZENG_TTS__CSM__MODEL": str(write_tiny_csm(tmp_path_factory.mktemp("tiny"))),
        "ZENG_TTS__CSM__STREAMS": "2",
        "ZENG_TTS__CSM__POSITIONS": "512",
        "ZENG_TTS__CSM__ENGINE_SOCKET": str(tmp_path_factory.mktemp("run") / "csm.sock"),
        "ZENG_TTS__FIRST_AUDIO_TIMEOUT_S": "60",
        "ZENG_TTS__CHUNK_TIMEOUT_S": "60",
    }


@asynccontextmanager
async def process(settings: dict[str, str], *arguments: str) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """Run `zeng tts ...`."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tts_engine", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **settings},
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def ready(running: asyncio.subprocess.Process) -> str:
    """Return where it is ready."""
    assert running.stdout is not None
    line = (await asyncio.wait_for(running.stdout.readline(), START_S)).decode()
    assert " ready at " in line
    return line.split()[-1]


async def said(url: str, request: SpeechRequest) -> bytes:
    async with SpeechClient(url, warm_links=0) as client, aclosing(client.speak(request)) as audio:
        return b"".join([pcm async for pcm in audio])


async def readiness(url: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        return await client.get(f"{url}/readyz")


async def until_ready(url: str) -> None:
    while (await readiness(url)).status_code != 200:
        await asyncio.sleep(0.05)


@pytest.mark.timeout(180)
async def test_servers_share_an_engine_outlive_it_and_find_the_next_one(settings: dict[str, str]):
    serve = ("serve", "--port", "0")
    async with process(settings, *serve) as first, process(settings, *serve) as second:  # they wait for their engine
        async with process(settings, "engine") as engine:
            one, other = await ready(first), await ready(second)
            both = await asyncio.gather(said(one, SHORT), said(other, SHORT))
            assert [len(pcm) for pcm in both] == [6 * FRAME_BYTES] * 2
            alone = await said(one, SHORT)
            assert await said(other, SHORT) == alone

            async with SpeechClient(one, warm_links=0) as client, aclosing(client.speak(LONG)) as audio:
                await anext(audio)
                engine.kill()
                with pytest.raises(SpeechEngineError):
                    async for _ in audio:
                        pass
            refusal = await readiness(one)
            assert refusal.status_code == 503
            assert "engine" in refusal.json()["detail"]
        async with process(settings, "engine") as engine:
            await asyncio.wait_for(asyncio.gather(until_ready(one), until_ready(other)), HUNG_S)
            assert await said(one, SHORT) == alone

            speaking = asyncio.create_task(said(other, LONG))
            while not await active(other):
                await asyncio.sleep(0.01)
            engine.send_signal(signal.SIGTERM)  # what is spoken is spoken to its end
            assert len(await speaking) > 6 * FRAME_BYTES
            assert await asyncio.wait_for(engine.wait(), HUNG_S) == 0
            assert not Path(settings["ZENG_TTS__CSM__ENGINE_SOCKET"]).exists()


async def active(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        page = (await client.get(f"{url}/metrics")).text
    return "zeng_tts_streams_active 1.0" in page


async def test_an_engine_that_cannot_be_served_says_why(settings: dict[str, str]):
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tts_engine", "engine", "--socket", "/nowhere/csm.sock"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **settings, "COLUMNS": "200"},
    )
    output, _ = await asyncio.wait_for(running.communicate(), START_S)
    assert running.returncode == 1
    assert output.decode().strip().endswith("error: cannot listen at /nowhere/csm.sock: No such file or directory")
    assert "Traceback" not in output.decode()
