"""`StreamLeg`: a call over one stream of audio as the bot sees it. A task ticks it every 20 ms."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np

from telephony.audio.frame import frames_of, pcm_of, samples_of
from telephony.audio.pacer import Pacer
from telephony.audio.resample import Resampler
from telephony.errors import LegEndedError, LocalProtocolError, TransferFailedError
from telephony.leg import (
    FRAME_MS,
    INPUT_RATE_HZ,
    OUTPUT_RATE_HZ,
    AudioReceived,
    CallInfo,
    CallLeg,
    DigitReceived,
    EndCause,
    FramesDropped,
    LegEnded,
    LegEvent,
    LegStats,
    RejectReason,
)
from telephony.stream.dialect import (
    FRAME_BYTES,
    RATE_HZ,
    Broken,
    Dialect,
    Key,
    Sound,
    Started,
    Stopped,
    StreamEvent,
    Wire,
)

_MAX_QUEUED = 50  # frames that wait for the bot: 1 s
_MAX_KEYS = 64
_MAX_BURST_BYTES = 200 * FRAME_BYTES  # a stream that stood still may bring 4 s at once
_CUSHION = 3  # frames that may wait when the tick takes one; what is more is given at once
_SILENCE = bytes(FRAME_BYTES)


class StreamLeg:
    """A `CallLeg`. `send` puts something on the wire, `close` closes it after that; neither waits."""

    def __init__(
        self,
        info: CallInfo,
        dialect: Dialect,
        *,
        send: Callable[[Wire], None],
        close: Callable[[], None],
        lead_ms: int,
        silence_timeout_s: float,
    ) -> None:
        self._info = info
        self._dialect = dialect
        self._send = send
        self._close = close
        self._silence_timeout_s = silence_timeout_s
        self._pacer: Pacer[bytes] = Pacer(lead_ms=lead_ms)
        self._up = Resampler(RATE_HZ, INPUT_RATE_HZ)
        self._down = Resampler(OUTPUT_RATE_HZ, RATE_HZ)
        self._heard = bytearray()
        self._events: deque[LegEvent] = deque()
        self._frames_waiting = 0
        self._dropped = 0
        self._changed = asyncio.Event()
        self._ended: LegEnded | None = None
        self._end_taken = False
        self._clock: asyncio.Task[None] | None = None
        self._heard_at = 0.0
        self._media_time_ms = 0
        self._received = self._missing_ms = self._sent = 0

    @property
    def info(self) -> CallInfo:
        """Who calls whom."""
        return self._info

    @property
    def played_ms(self) -> int:
        """Bot audio that has left, in ms; silence not counted."""
        return self._pacer.played_ms

    @property
    def lead_ms(self) -> int:
        """How far ahead the bot may play."""
        return self._pacer.lead_ms

    @property
    def queued_ms(self) -> int:
        """What was played and has not yet been sent."""
        return self._pacer.queued_ms

    # The bot's side

    async def answer(self) -> None:
        """Take the call. Raises `LegEndedError` if the caller has gone."""
        self._check_alive()
        if self._clock is None:
            self._say(self._dialect.answer())
            self._clock = asyncio.get_running_loop().create_task(self._run())

    async def reject(self, reason: RejectReason, *, retry_after_s: int | None = None) -> None:
        """Hang up: the PBX has the call and goes on with it. `LegEnded(REJECTED)` follows."""
        del retry_after_s
        if self._clock is not None:
            raise LocalProtocolError("the call is answered already: hang_up() ends it")
        self._check_alive()
        self._end(EndCause.REJECTED, reason.value)

    async def receive(self) -> LegEvent:
        """Wait for the next event. After `LegEnded` it raises `LegEndedError`."""
        if self._end_taken:
            self._check_alive()
        while True:
            if self._dropped:
                count, self._dropped = self._dropped, 0
                return FramesDropped(count)
            if self._events:
                event = self._events.popleft()
                self._frames_waiting -= isinstance(event, AudioReceived)
                return event
            if self._ended is not None:
                self._end_taken = True
                return self._ended
            await self._change()

    async def play(self, pcm: bytes) -> None:
        """Queue frames of 20 ms at 24 kHz; waits while the lead is full."""
        frames = frames_of(pcm)
        while self._pacer.is_full and self._ended is None:
            await self._change()
        self._check_alive()
        for frame in frames:
            self._pacer.put(frame)

    def flush(self) -> int:
        """Drop what was queued and not yet sent, and have the peer drop what it holds."""
        if self._ended is None and self._clock is not None:
            self._say(self._dialect.clear())
        dropped_ms = self._pacer.flush()
        self._changed.set()
        return dropped_ms

    async def drain(self) -> None:
        """Wait until all that was queued has been sent, or the leg has ended."""
        while self._pacer.queued_ms and self._ended is None:
            await self._change()

    async def send_digits(self, digits: str) -> None:
        """Press keys. Raises `LocalProtocolError` where the peer offers no way."""
        self._check_alive()
        messages = self._dialect.digits(digits)
        if messages is None:
            raise LocalProtocolError(f"{self._dialect.name} has no way to press keys: use a SIP leg")
        self._say(messages)

    async def transfer(self, target: str, *, consult: CallLeg | None = None) -> None:  # noqa: ARG002 - the seam's
        """Refuse: the PBX or provider at the far end moves calls by its own interface, not by its audio's."""
        self._check_alive()
        raise TransferFailedError("a call over a stream of audio cannot be transferred by it", status=501)

    def tell(self, text: str) -> None:
        """Drop it: there is no page."""

    async def hang_up(self) -> None:
        """End the call; queued audio is dropped. Idempotent."""
        self._end(EndCause.BOT_HUNG_UP)

    def stats(self) -> LegStats:
        """Media figures so far; `concealed_ms` is time for which nothing had come."""
        return LegStats(
            received=self._received,
            concealed_ms=self._missing_ms,
            sent=self._sent,
            underruns=self._pacer.underruns,
            sent_late_ms_max=self._pacer.late_ms_max,
        )

    # The peer's side

    def take(self, event: StreamEvent) -> None:
        """Take what the peer said; before the answer sound is dropped."""
        match event:
            case Sound(pcm) if self._clock is not None:
                self._heard_at = asyncio.get_running_loop().time()
                self._heard += pcm
                del self._heard[:-_MAX_BURST_BYTES]
            case Key(digit, duration_ms) if len(self._events) - self._frames_waiting < _MAX_KEYS:
                self._put(DigitReceived(digit, duration_ms))
            case Stopped(detail):
                self._end(EndCause.CALLER_HUNG_UP, detail)
            case Broken(reason):
                self._end(EndCause.FAILED, reason)
            case Started() | Sound() | Key():
                pass

    def lost(self) -> None:
        """Note that the connection is gone: to a PBX the same as hanging up."""
        self._end(EndCause.CALLER_HUNG_UP, "the connection closed")

    # The clock

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        self._pacer.start(now=loop.time())
        while self._ended is None:
            await asyncio.sleep(max(0.0, self._pacer.timer_at() - loop.time()))
            now = loop.time()
            due = self._pacer.due(now=now)
            for _ in range(due.frames):
                self._speak()
                self._listen()
            self._changed.set()
            if now - self._heard_at > self._silence_timeout_s:
                self._end(EndCause.MEDIA_TIMEOUT)

    def _speak(self) -> None:
        frame = self._pacer.take()
        if frame is None and not self._dialect.sends_silence:
            self._down.reset()
            return
        pcm = _SILENCE if frame is None else pcm_of(self._down.feed(samples_of(frame)))
        self._sent += 1
        self._say(self._dialect.sound(pcm))

    def _listen(self) -> None:
        waiting = len(self._heard) // FRAME_BYTES
        if not waiting:
            self._missing_ms += FRAME_MS
            self._give(_SILENCE)
            return
        for _ in range(max(1, waiting - _CUSHION)):
            self._received += 1
            self._give(bytes(self._heard[:FRAME_BYTES]))
            del self._heard[:FRAME_BYTES]

    def _give(self, pcm: bytes) -> None:
        if self._ended is not None:
            return
        wide = self._up.feed(np.frombuffer(pcm, "<i2"))
        self._put(AudioReceived(pcm_of(wide), self._media_time_ms))
        self._media_time_ms += FRAME_MS
        self._frames_waiting += 1
        while self._frames_waiting > _MAX_QUEUED:
            oldest = next(event for event in self._events if isinstance(event, AudioReceived))
            self._events.remove(oldest)
            self._frames_waiting -= 1
            self._dropped += 1

    # Within

    def _put(self, event: LegEvent) -> None:
        if self._ended is None:
            self._events.append(event)
            self._changed.set()

    def _say(self, messages: list[Wire]) -> None:
        for message in messages:
            self._send(message)

    def _end(self, cause: EndCause, detail: str = "") -> None:
        if self._ended is not None:
            return
        self._ended = LegEnded(cause, detail)
        self._pacer.flush()
        if cause is not EndCause.CALLER_HUNG_UP:
            self._say(self._dialect.hang_up())
        self._close()
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _check_alive(self) -> None:
        if (ended := self._ended) is not None:
            raise LegEndedError(f"the call is over: {ended.cause.value}{ended.detail and ': '}{ended.detail}")
