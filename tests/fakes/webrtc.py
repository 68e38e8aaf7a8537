"""Both ends of a WebRTC call for tests: sounds to send, ears that take all a leg has, bots that echo or hum."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import numpy as np
from numpy.typing import NDArray

from telephony.errors import LegEndedError
from telephony.leg import AudioReceived, CallInfo, CallLeg, LegEnded, LegEvent
from telephony.settings import WebRtcSettings
from telephony.webrtc.caller import place_call
from telephony.webrtc.endpoint import WebRtcEndpoint
from telephony.webrtc.leg import WebRtcLeg, open_leg
from telephony.webrtc.shared_media import SharedMedia

SETTINGS = WebRtcSettings(hosts=("127.0.0.1",))
PATIENCE_S = 20.0


def tone(hertz: float, frames: int, *, level: int = 8000) -> list[bytes]:
    """Frames to `play`: a tone at 24 kHz."""
    samples = (level * np.sin(2 * np.pi * hertz * np.arange(frames * 480) / 24_000)).astype("<i2")
    return [samples[start : start + 480].tobytes() for start in range(0, len(samples), 480)]


def samples_of(frames: list[bytes]) -> NDArray[np.float64]:
    """What was heard, as numbers."""
    return np.frombuffer(b"".join(frames), "<i2").astype(np.float64)


def loudness(frames: list[bytes]) -> float:
    """RMS of what was heard; a tone of level 8000 has 5657."""
    return float(np.sqrt(np.mean(samples_of(frames) ** 2))) if frames else 0.0


def pitch(frames: list[bytes]) -> float:
    """Strongest frequency in Hz."""
    samples = samples_of(frames)
    return float(np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 17))) * 16_000 / (1 << 17))


class Ears:
    """Take all that a leg has for its owner."""

    def __init__(self, leg: CallLeg) -> None:
        self.leg = leg
        self.frames: list[bytes] = []
        self.media_times_ms: list[int] = []
        self.others: list[LegEvent] = []
        self.ended: LegEnded | None = None
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._listen())

    async def until(self, look: Callable[[], object]) -> None:
        """Wait until `look()` is true, as events come."""
        async with asyncio.timeout(PATIENCE_S):
            while not look():
                self._news.clear()
                await self._news.wait()

    async def hear(self, frames: int) -> list[bytes]:
        """The next frames from the far side."""
        start = len(self.frames)
        await self.until(lambda: len(self.frames) >= start + frames)
        return self.frames[start : start + frames]

    async def hear_loud(self, frames: int) -> list[bytes]:
        """The next frames from the first that is no silence on."""
        start = len(self.frames)
        await self.until(lambda: any(loudness([frame]) > 1000 for frame in self.frames[start:]))
        start = next(n for n in range(start, len(self.frames)) if loudness([self.frames[n]]) > 1000)
        await self.until(lambda: len(self.frames) >= start + frames)
        return self.frames[start : start + frames]

    async def end(self) -> LegEnded:
        """How the leg ends."""
        await self.until(lambda: self.ended)
        await self._task
        assert self.ended is not None
        return self.ended

    async def _listen(self) -> None:
        while self.ended is None:
            event = await self.leg.receive()
            match event:
                case AudioReceived(pcm, media_time_ms):
                    self.frames.append(pcm)
                    self.media_times_ms.append(media_time_ms)
                case LegEnded():
                    self.ended = event
                case _:
                    self.others.append(event)
            self._news.set()


async def play(leg: CallLeg, frames: list[bytes]) -> None:
    """Play frames until they, or the call, are over."""
    with contextlib.suppress(LegEndedError):
        for frame in frames:
            await leg.play(frame)


class Call:
    """One call over loopback: `caller` has called `bot`, both answered, ears on both."""

    def __init__(self, endpoint: WebRtcEndpoint, caller: WebRtcLeg, bot: WebRtcLeg) -> None:
        self.endpoint = endpoint
        self.caller = caller
        self.bot = bot
        self.at_caller = Ears(caller)
        self.at_bot = Ears(bot)

    async def close(self) -> None:
        """Hang up, and see both ends."""
        await self.caller.hang_up()
        await asyncio.gather(self.at_caller.end(), self.at_bot.end())
        await self.endpoint.close()


async def call(
    *,
    settings: WebRtcSettings = SETTINGS,
    media: SharedMedia | None = None,
    on_leg: Callable[[CallLeg], None] = lambda _: None,
) -> Call:
    """Make a call to a bot that answers at once; `on_leg` sees the bot's leg before it does."""
    legs: list[CallLeg] = []
    answering: list[Awaitable[None]] = []

    def on_call(leg: CallLeg) -> None:
        on_leg(leg)
        legs.append(leg)
        answering.append(asyncio.create_task(leg.answer()))  # type: ignore[arg-type] - a coroutine, by the protocol

    endpoint = WebRtcEndpoint(settings, on_call, max_legs=8, media=media)

    async def send_offer(sdp: str) -> str:
        return (await endpoint.offer(sdp)).sdp

    caller = await place_call(send_offer, SETTINGS)
    await asyncio.gather(*answering)
    (bot,) = legs
    assert isinstance(bot, WebRtcLeg)
    return Call(endpoint, caller, bot)


async def an_offer() -> tuple[WebRtcLeg, str]:
    """A caller's leg and its offer, of which nothing more will come."""
    leg = await open_leg(SETTINGS, CallInfo("0" * 32, "webrtc", "caller", "bot"), offering=True, media=SharedMedia())
    return leg, await leg.describe()
