"""Real peers call `zeng demo`: SIPp with RTP speech and RFC 4733 keys, baresip with a WAV, Chromium by WebRTC."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.baresip import baresip
from tests.e2e.chromium import chromium
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


async def test_sipp_speaks_and_presses_a_key(service: RunningService, tmp_path: Path) -> None:
    before = await service.entered("tell_hours")
    host, port = service.sip.split("@")[1].split(":")

    process = await asyncio.create_subprocess_exec(
        "sipp", f"{host}:{port}", "-sf", str(SCENARIOS / "speech_and_key.xml"), "-s", "bot", "-i", "127.0.0.1",
        "-mi", "127.0.0.1", "-mp", "33000", "-m", "1", "-timeout", "60", "-nostdin",
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()[-2000:]
    await service.idle()
    assert await service.entered("tell_hours") == before + 1


async def test_baresip_asks_in_azerbaijani_and_records_the_answer(service: RunningService, tmp_path: Path) -> None:
    # The disclosure takes about 8 s and the rest may be talked over.
    wav = clip_after(tmp_path, "is-saatlari", silence_s=12.0, rate=8000)
    before = await service.entered("tell_hours")

    async with baresip(tmp_path, wav=wav) as phone:
        await phone.command("dial", service.sip)
        await phone.until("CALL_ESTABLISHED")
        async with asyncio.timeout(60):
            while await service.entered("tell_hours") == before:
                await asyncio.sleep(0.5)
        await asyncio.sleep(4)
    await service.idle()

    heard, rate = read_wav(phone.heard())
    spoken = stretches(heard, rate)
    assert spoken[0].begin < 1.5
    assert sum(s.length for s in spoken) > 8
    assert len(spoken) >= 2  # it stopped for the caller and spoke again


async def test_chromium_hears_the_greeting_and_books_by_the_keypad(service: RunningService, tmp_path: Path) -> None:
    microphone = clip_after(tmp_path, "salam", silence_s=120.0, rate=48000)
    before = await service.entered("ask_day")

    async with chromium(tmp_path, microphone=microphone) as browser, browser.page() as page:
        await page.open(service.page)
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
    await service.idle()
