"""A reactive caller on our own legs: hears when the bot speaks, answers with clips and keys, records both sides."""

from __future__ import annotations

import asyncio
import wave
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from telephony.audio.resample import Resampler
from telephony.errors import LegEndedError
from telephony.leg import FRAME_MS, INPUT_RATE_HZ, OUTPUT_FRAME_BYTES, OUTPUT_RATE_HZ, AudioReceived, CallLeg, LegEnded
from telephony.settings import WebRtcSettings
from telephony.webrtc.caller import place_call
from tests.e2e.sound import read_wav
from tests.waiting import HUNG_S

_LOUD_RMS = 300.0  # of int16: well over comfort noise and G.711's idle steps
_FRAME_S = FRAME_MS / 1000


def clip_24k(path: Path) -> bytes:
    """A WAV of 8 or 16 kHz as PCM16 at 24 kHz."""
    samples, rate = read_wav(path)
    pcm = (samples * 32767).astype(np.int16)
    pcm = np.pad(pcm, (0, -len(pcm) % (rate // 50)))
    return Resampler(rate, OUTPUT_RATE_HZ).feed(pcm).tobytes()


async def call_by_page(page: str) -> Caller:
    """Call as a browser does that has the page at this address; returns once media flows."""
    async with httpx.AsyncClient(timeout=HUNG_S, trust_env=False, verify=False) as client:

        async def send_offer(sdp: str) -> str:
            answer = await client.post(f"{page}/api/offer", json={"sdp": sdp, "type": "offer"})
            assert answer.status_code == 200, answer.text
            return answer.json()["sdp"]

        leg = await place_call(send_offer, WebRtcSettings())
        await leg.answer()
        return Caller(leg)


class Caller:
    """One call from the caller's side. `run()` is a task; the rest is the script."""

    def __init__(self, leg: CallLeg) -> None:
        self.leg = leg
        self.ended: LegEnded | None = None
        self.heard: list[NDArray[np.int16]] = []  # 20 ms each, 16 kHz, in the order of the playout clock
        self.said: list[tuple[float, float]] = []  # begin and end of each clip's voice, on the loop's clock
        self.bot_starts: list[float] = []
        self._bot_loud_at = float("-inf")
        self._bot_speaking = False
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                event = await self.leg.receive()
            except LegEndedError:
                return
            async with self._changed:
                if isinstance(event, AudioReceived):
                    self._hear(np.frombuffer(event.pcm, np.int16), loop.time())
                elif isinstance(event, LegEnded):
                    self.ended = event
                self._changed.notify_all()
            if self.ended is not None:
                return

    def _hear(self, frame: NDArray[np.int16], now: float) -> None:
        self.heard.append(frame)
        if float(np.sqrt(np.mean(frame.astype(np.float32) ** 2))) > _LOUD_RMS:
            if not self._bot_speaking:
                self._bot_speaking = True
                self.bot_starts.append(now)
            self._bot_loud_at = now
        elif now - self._bot_loud_at > 0.6:
            self._bot_speaking = False

    @property
    def bot_speaking(self) -> bool:
        return self._bot_speaking

    async def until_bot_speaks(self, *, seconds: float = HUNG_S) -> float:
        """Wait for the bot's next word; returns when it was heard."""
        count = len(self.bot_starts)
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: len(self.bot_starts) > count or self.ended is not None)
        assert len(self.bot_starts) > count, f"the call ended before the bot spoke: {self.ended}"
        return self.bot_starts[-1]

    async def until_bot_has_begun(self, *, seconds: float = HUNG_S) -> None:
        """Wait for the bot's first word, which may have been said already."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: bool(self.bot_starts) or self.ended is not None)
        assert self.bot_starts, f"the call ended before the bot spoke: {self.ended}"

    async def until_bot_is_silent(self, *, seconds: float = HUNG_S) -> None:
        """Wait until the bot has spoken and paused for 0.6 s."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(
                lambda: (bool(self.bot_starts) and not self._bot_speaking) or self.ended is not None
            )

    async def until_ended(self, *, seconds: float = HUNG_S) -> LegEnded:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: self.ended is not None)
        assert self.ended is not None
        return self.ended

    async def say(self, pcm24k: bytes) -> float:
        """Speak a clip; returns when its last loud frame left (the lead of the leg counted in)."""
        samples = np.frombuffer(pcm24k, np.int16)
        frames = len(samples) // 480
        loud = [
            i for i in range(frames) if float(np.abs(samples[i * 480 : (i + 1) * 480].astype(np.int32)).mean()) > 200
        ]
        loop = asyncio.get_running_loop()
        before = self.leg.played_ms
        began = loop.time()
        for i in range(frames):
            await self.leg.play(pcm24k[i * OUTPUT_FRAME_BYTES : (i + 1) * OUTPUT_FRAME_BYTES])
        await self.leg.drain()
        ended = loop.time()
        tail_s = (frames - 1 - loud[-1]) * _FRAME_S
        assert self.leg.played_ms - before == frames * FRAME_MS
        self.said.append((began, ended - tail_s))
        return ended - tail_s

    async def hang_up(self) -> None:
        await self.leg.hang_up()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(self._reader, HUNG_S)

    def record(self, path: Path) -> None:
        """Write what was heard."""
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(INPUT_RATE_HZ)
            file.writeframes(np.concatenate(self.heard).tobytes() if self.heard else b"")
