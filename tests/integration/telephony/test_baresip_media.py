"""Debian's baresip over real sockets: SRTP by SDES, G.722 and Opus, called by it and calling it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from telephony.audio.frame import pcm_of, samples_of
from telephony.errors import LegEndedError
from telephony.leg import AudioReceived, CallLeg, LegStats
from telephony.rtp.factory import RtpMediaFactory
from telephony.settings import RtpSettings, SipSettings
from telephony.sip.endpoint import SipEndpoint, serve_sip
from tests.e2e.baresip import baresip
from tests.e2e.sound import read_wav, write_wav
from tests.waiting import HUNG_S

HERE_HZ, THERE_HZ = 440, 1_000
TALK_S = 2.0


def tone(hertz: int, rate: int, seconds: float) -> NDArray[np.float32]:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def pitch(samples: NDArray[np.float32] | NDArray[np.int16], rate: int) -> float:
    middle = samples[len(samples) // 3 : 2 * len(samples) // 3]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return float(np.argmax(spectrum)) * rate / len(middle)


class Talk:
    """What became of one call: what the bot heard, and its figures before the end."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.stats = LegStats()
        self.over = asyncio.Event()
        self._loud = 0  # frames
        self._heard_enough = asyncio.Event()

    async def until_heard(self) -> None:
        """Wait until the far end has been heard for long enough, however long the machine takes over it."""
        async with asyncio.timeout(HUNG_S):
            await self._heard_enough.wait()

    async def run(self, leg: CallLeg) -> None:
        """Answer, play a tone, and listen for as long as the call lasts."""
        await leg.answer()
        frames = samples_of(pcm_of((tone(HERE_HZ, 24_000, TALK_S) * 32_767).astype(np.int16))).reshape(-1, 480)

        async def speak() -> None:
            for frame in frames:
                await leg.play(pcm_of(frame))

        speaking = asyncio.create_task(speak())
        with contextlib.suppress(LegEndedError):
            while True:
                event = await leg.receive()
                if isinstance(event, AudioReceived):
                    self.heard.append(event.pcm)
                    self.stats = leg.stats()
                    self._loud += int(np.abs(samples_of(event.pcm)).max()) > 1_000
                    if self._loud * 0.02 >= TALK_S:
                        self._heard_enough.set()
        speaking.cancel()
        self.over.set()


@asynccontextmanager
async def bot(on_call: Callable[[CallLeg], None], **rtp: object) -> AsyncIterator[tuple[SipEndpoint, int]]:
    factory = RtpMediaFactory(RtpSettings.model_validate({"port_min": 21_000, "port_max": 21_999, **rtp}))
    await factory.start()
    endpoint, sockets = await serve_sip(
        SipSettings(port=0, outbound_allowed=("*@127.0.0.1",)), media=factory, on_call=on_call
    )
    try:
        yield endpoint, sockets.address[1]
    finally:
        await endpoint.close(within_s=0.5)
        await sockets.close()
        await factory.stop()


def voice(folder: Path, rate: int) -> Path:
    path = folder / "voice.wav"
    write_wav(path, tone(THERE_HZ, rate, 30), rate, channels=2 if rate == 48_000 else 1)  # its Opus takes stereo only
    return path


def check(talk: Talk, recording: Path) -> None:
    heard = np.concatenate([samples_of(frame) for frame in talk.heard])
    assert pitch(heard, 16_000) == pytest.approx(THERE_HZ, abs=5)
    there, rate = read_wav(recording)
    assert pitch(there, rate) == pytest.approx(HERE_HZ, abs=5)
    assert talk.stats.lost == 0


@pytest.mark.parametrize(
    ("codec", "rate", "enc", "policy", "encrypted"),
    [
        ("PCMA", 8_000, "srtp-mand", "required", True),
        ("G722", 16_000, "srtp", "accepted", True),  # RTP/AVP with keys
        ("opus", 48_000, "", "offered", False),
    ],
)
async def test_baresip_calls(tmp_path: Path, codec: str, rate: int, enc: str, policy: str, encrypted: bool) -> None:
    talk = Talk()
    tasks: list[asyncio.Task[None]] = []
    names = {"PCMA": "pcma", "G722": "g722/16000/1", "opus": "opus/48000/2"}
    account = f"audio_codecs={names[codec]}" + (f";mediaenc={enc}" if enc else "")
    async with bot(lambda leg: tasks.append(asyncio.create_task(talk.run(leg))), srtp=policy) as (_, port):
        async with baresip(tmp_path, wav=voice(tmp_path, rate), account=account, rate=rate) as phone:
            await phone.command("dial", f"sip:bot@127.0.0.1:{port}")
            await phone.until("CALL_ESTABLISHED")
            await talk.until_heard()
        async with asyncio.timeout(HUNG_S):
            await talk.over.wait()

    check(talk, phone.heard())
    assert (talk.stats.codec, talk.stats.encrypted) == (codec, encrypted)


async def test_we_call_baresip_with_opus_over_srtp(tmp_path: Path) -> None:
    talk = Talk()
    account = "audio_codecs=opus/48000/2;mediaenc=srtp-mand;answermode=auto"
    async with (
        bot(lambda leg: None, srtp="required", codecs=("opus", "PCMA")) as (endpoint, _),
        baresip(tmp_path, wav=voice(tmp_path, 48_000), account=account, rate=48_000) as phone,
    ):
        leg = await endpoint.place_call(f"sip:caller@127.0.0.1:{phone.port}")
        running = asyncio.create_task(talk.run(leg))
        await phone.until("CALL_ESTABLISHED")
        await talk.until_heard()
        await leg.hang_up()
        await running

    check(talk, phone.heard())
    assert (talk.stats.codec, talk.stats.encrypted) == ("opus", True)


async def test_baresip_without_encryption_is_refused_where_it_is_required(tmp_path: Path) -> None:
    legs: list[asyncio.Task[None]] = []

    async def answer(leg: CallLeg) -> None:
        with contextlib.suppress(LegEndedError):
            await leg.answer()

    async with (
        bot(lambda leg: legs.append(asyncio.create_task(answer(leg))), srtp="required") as (_, port),
        baresip(tmp_path, wav=voice(tmp_path, 8_000)) as phone,
    ):
        await phone.command("dial", f"sip:bot@127.0.0.1:{port}")
        closed = await phone.until("CALL_CLOSED")

    assert "488" in str(closed["param"])
