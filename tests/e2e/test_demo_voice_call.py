"""The clinic's call with the demonstration voice from end to end; its words are checked by the meter.

ZENG_TEST_VOICE names another folder, or `espeak` for what the meter makes of a call by espeak-ng, over the same Opus.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest
import soxr

from bot.language.speakable import speakable
from finetune.meter.letters import error_rate, spelt
from finetune.meter.meter import read_meter
from telephony.leg import INPUT_RATE_HZ
from tests.e2e.caller import Caller, call_by_page
from tests.e2e.footprint import conversations
from tests.e2e.service import ROOT, RunningService, running_service
from tests.e2e.sound import stretches

pytestmark = pytest.mark.timeout(240)
ERROR_RATE_MAX = 0.35
"""The gate's 0.30 and what Opus and cut silences cost: espeak-ng's own call reads at 0.08 by the same meter."""


async def _call(service: RunningService) -> Caller:
    """Hear the greeting and the question, ask for the hours and the address by keys, and hang up."""
    caller = await call_by_page(service.page)
    await caller.until_bot_speaks(seconds=30)
    for keys in ("", "2", "3"):
        if keys:
            await caller.leg.send_digits(keys)
            await caller.until_bot_speaks(seconds=20)
        await _pause(caller)
    await caller.hang_up()
    return caller


async def _pause(caller: Caller) -> None:
    """Wait until the bot has been silent for a second: it says several things in one breath."""
    quiet = 0
    async with asyncio.timeout(60):
        while quiet < 10:
            await asyncio.sleep(0.1)
            quiet = 0 if caller.bot_speaking else quiet + 1


async def test_the_clinic_s_call_is_understood_by_the_meter(tmp_path: Path) -> None:
    # `zeng demo` takes the one that ships by itself
    with running_service(tmp_path, voice=os.environ.get("ZENG_TEST_VOICE")) as service:
        caller = await _call(service)
        lines = (await conversations(service)).splitlines()
        await service.idle()
    meant = [spelt(speakable(line.split(": ", 1)[1])) for line in lines if " caller: " not in line]
    sound = np.concatenate(caller.heard).astype(np.float32) / 32768
    wide = soxr.resample(sound, INPUT_RATE_HZ, 24_000).astype(np.float32)
    meter = read_meter(ROOT / "finetune/demo/weights/caller.safetensors")
    parts = [
        wide[round(max(s.begin - 0.1, 0) * 24_000) : round((s.end + 0.1) * 24_000)] for s in stretches(wide, 24_000)
    ]
    heard = " ".join(meter.read_all(parts))
    rate = error_rate([heard], [" ".join(meant)])
    assert "the demonstration's" in service.log.read_text() or "ZENG_TEST_VOICE" in os.environ
    print(f"meant: {meant}\nheard: {heard}\nCER {rate:.3f}")
    assert rate <= ERROR_RATE_MAX
