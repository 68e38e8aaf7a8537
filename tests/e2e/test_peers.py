"""Real peers call `zeng demo`: SIPp with RTP speech and RFC 4733 keys, baresip with a WAV, Chromium by WebRTC."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.baresip import baresip
from tests.e2e.chromium import Page, chromium
from tests.e2e.conftest import CLIPS
from tests.e2e.service import RunningService
from tests.e2e.sound import read_wav, stretches, write_wav
from tests.waiting import HUNG_S

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("nothing_left")]
SCENARIOS = Path(__file__).parent / "scenarios"


def clip_after(folder: Path, clip: str, *, silence_s: float, rate: int) -> Path:
    """A WAV that is silent, then speaks a clip, then is silent for a minute."""
    samples, own_rate = read_wav(CLIPS / f"{clip}.wav")
    at = np.arange(int(len(samples) * rate / own_rate)) * own_rate / rate
    spoken = np.interp(at, np.arange(len(samples)), samples).astype(np.float32)
    path = folder / f"{clip}-{rate}.wav"
    pause = np.zeros(int(silence_s * rate), np.float32)
    write_wav(path, np.concatenate([pause, spoken, np.zeros(60 * rate, np.float32)]), rate)
    return path


async def _sipp_speaks_and_presses_a_key(service: RunningService, folder: Path) -> None:
    host, port = service.sip.split("@")[1].split(":")

    process = await asyncio.create_subprocess_exec(
        "sipp", f"{host}:{port}", "-sf", str(SCENARIOS / "speech_and_key.xml"), "-s", "bot", "-i", "127.0.0.1",
        "-mi", "127.0.0.1", "-mp", "33000", "-m", "1", "-timeout", "60", "-nostdin",
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()[-2000:]


async def _baresip_asks_in_azerbaijani_and_records_the_answer(
    service: RunningService, folder: Path, until_told: Callable[[], Awaitable[None]]
) -> None:
    # The disclosure takes about 8 s and the rest may be talked over.
    wav = clip_after(folder, "is-saatlari", silence_s=12.0, rate=8000)

    async with baresip(folder, wav=wav) as phone:
        await phone.command("dial", service.sip)
        await phone.until("CALL_ESTABLISHED")
        await until_told()
        await asyncio.sleep(4)

    heard, rate = read_wav(phone.heard())
    spoken = stretches(heard, rate)
    assert spoken[0].begin < 1.5
    assert sum(s.length for s in spoken) > 8
    assert len(spoken) >= 2  # it stopped for the caller and spoke again


async def _chromium_hears_the_greeting_and_asks_for_a_day_by_the_keypad(service: RunningService, page: Page) -> None:
    before = await service.entered("ask_day")
    await page.click("#talk")
    await page.wait_for("document.body.dataset.state === 'speaking'")
    await page.wait_for("document.querySelector('#transcript').textContent.includes('Salam')")
    await asyncio.sleep(8)
    await page.press("1")
    async with asyncio.timeout(HUNG_S):
        while await service.entered("ask_day") == before:
            await asyncio.sleep(0.2)
    await page.wait_for("document.querySelector('#transcript').textContent.includes('hansı günə')")
    await page.click("#talk")
    await page.wait_for("document.body.dataset.state === 'ended'")
    assert page.errors == []


async def test_sipp_baresip_and_chromium_call_and_each_is_answered(service: RunningService, tmp_path: Path) -> None:
    """Side by side, for each of them waits most of the time: 20 s and not 45."""
    before = await service.entered("tell_hours")

    async def until_told() -> None:
        """Both who ask for the hours, SIPp by a key and baresip in words, have been told them."""
        async with asyncio.timeout(60):
            while await service.entered("tell_hours") < before + 2:
                await asyncio.sleep(0.5)

    folders = tmp_path / "sipp", tmp_path / "baresip", tmp_path / "chromium"
    for folder in folders:
        folder.mkdir()
    microphone = clip_after(folders[2], "salam", silence_s=120.0, rate=48000)
    # the browser first: while it starts, it takes both cores
    async with chromium(folders[2], microphone=microphone) as browser, browser.page() as page:
        await page.open(service.page)
        await asyncio.gather(
            _sipp_speaks_and_presses_a_key(service, folders[0]),
            _baresip_asks_in_azerbaijani_and_records_the_answer(service, folders[1], until_told),
            _chromium_hears_the_greeting_and_asks_for_a_day_by_the_keypad(service, page),
        )
    await service.idle()
    assert await service.entered("tell_hours") == before + 2
