"""baresip-python (Daily's binding, from PyPI) calls the bot over TLS: SRTP, hold, keys."""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from telephony.audio.frame import pcm_of
from telephony.errors import LegEndedError
from telephony.leg import AudioReceived, CallLeg, DigitReceived, EndCause, HoldChanged, LegEnded, LegEvent, LegStats
from telephony.rtp.factory import RtpMediaFactory
from telephony.settings import RtpSettings, SipSettings, SipTlsSettings
from telephony.sip.endpoint import serve_sip
from tests.fakes.certificates import issue
from tests.integration.telephony.test_baresip_media import HERE_HZ, THERE_HZ, pitch, tone
from tests.waiting import HUNG_S, START_S

ROOT = Path(__file__).parents[3]


class Bot:
    """Answers one call, plays a tone for as long as it lasts, and keeps what it was told."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.events: list[LegEvent] = []
        self.stats = LegStats()
        self.tasks: list[asyncio.Task[None]] = []

    def take(self, leg: CallLeg) -> None:
        self.tasks.append(asyncio.create_task(self._run(leg)))

    async def _run(self, leg: CallLeg) -> None:
        await leg.answer()
        speaking = asyncio.create_task(self._speak(leg))
        while not isinstance(event := await leg.receive(), LegEnded):
            self.stats = leg.stats()
            if isinstance(event, AudioReceived):
                self.heard.append(event.pcm)
            else:
                self.events.append(event)
        self.events.append(event)
        await speaking

    async def _speak(self, leg: CallLeg) -> None:
        second = (tone(HERE_HZ, 24_000, 1) * 32_767).astype(np.int16).reshape(-1, 480)
        try:
            while True:
                for frame in second:
                    await leg.play(pcm_of(frame))
        except LegEndedError:
            return


@pytest.mark.skipif(find_spec("baresip") is None, reason="baresip-python has no wheel for this machine")
async def test_a_call_over_tls_with_srtp_is_heard_held_and_dialled_into(tmp_path: Path) -> None:
    files = issue(tmp_path)
    tls = SipTlsSettings(
        port=0, certificate=str(files.certificate), key=str(files.key), authorities=str(files.authority)
    )
    bot = Bot()
    media = RtpMediaFactory(RtpSettings(srtp="required", port_min=22_000, port_max=22_099))
    await media.start()
    endpoint, sockets = await serve_sip(SipSettings(port=0, tls=tls), media=media, on_call=bot.take)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(Path(__file__).with_name("baresip_python_call.py"))),
            *(f"sip:bot@127.0.0.1:{sockets.tls_port};transport=tls", str(files.authority)),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        output, errors = await asyncio.wait_for(process.communicate(), START_S)
        assert process.returncode == 0, errors.decode()[-2000:]
        async with asyncio.timeout(HUNG_S):
            await asyncio.gather(*bot.tasks)
    finally:
        await endpoint.close(within_s=0.5)
        await sockets.close()
        await media.stop()

    # A frame that a busy machine has late is made up, which bends the short stretch's pitch by some Hz.
    assert list(json.loads(output).values()) == pytest.approx([HERE_HZ, HERE_HZ], abs=20)
    assert pitch(np.frombuffer(b"".join(bot.heard[:100]), "<i2"), 16_000) == pytest.approx(THERE_HZ, abs=20)
    assert (bot.stats.codec, bot.stats.encrypted, bot.stats.lost) == ("PCMA", True, 0)
    assert [event for event in bot.events if isinstance(event, HoldChanged)] == [HoldChanged(True), HoldChanged(False)]
    assert "".join(event.digit for event in bot.events if isinstance(event, DigitReceived)) == "42#"
    assert isinstance(bot.events[-1], LegEnded)
    assert bot.events[-1].cause is EndCause.CALLER_HUNG_UP
