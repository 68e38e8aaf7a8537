"""A `CallLeg` without a line: the test sends events and lets time play."""

from __future__ import annotations

import asyncio

from telephony.errors import AudioFormatError, LegEndedError
from telephony.leg import (
    FRAME_MS,
    OUTPUT_FRAME_BYTES,
    AudioReceived,
    CallInfo,
    DigitReceived,
    EndCause,
    LegEnded,
    LegEvent,
    LegStats,
    RejectReason,
)

LEAD_MS = 200


class FakeLeg:
    """Plays at once with `paced=False`; otherwise only as far as `advance()` lets it."""

    def __init__(self, *, paced: bool = False, call_id: str = "c" * 32) -> None:
        self.info = CallInfo(call_id, "sip", "sip:caller@test", "sip:bot@test")
        self.told: list[str] = []
        self.sent = bytearray()  # what the caller heard
        self.answers = True  # False: the far end of a call that was placed does not
        self.answered = False
        self.rejected: RejectReason | None = None
        self.hung_up = False
        self.transferred: list[tuple[str, int]] = []  # to whom, and how much had been played by then
        self.transfer_fails: Exception | None = None
        self.flushes = 0
        self._paced = paced
        self._played_ms = 0
        self._queued: list[bytes] = []
        self._events: asyncio.Queue[LegEvent] = asyncio.Queue()
        self._moved = asyncio.Condition()
        self._over = False
        self._gone = False
        self._media_ms = 0

    # What the test does

    def feed(self, event: LegEvent) -> None:
        self._events.put_nowait(event)

    def speak(self, pcm16k: bytes) -> None:
        for start in range(0, len(pcm16k) - 639, 640):
            self.feed(AudioReceived(pcm16k[start : start + 640], self._media_ms))
            self._media_ms += FRAME_MS

    def press(self, digits: str) -> None:
        for digit in digits:
            self.feed(DigitReceived(digit, 100))

    def end(self, cause: EndCause = EndCause.CALLER_HUNG_UP) -> None:
        self.feed(LegEnded(cause))

    def over(self) -> None:
        """The line is gone, and nobody has taken `LegEnded` yet."""
        self._gone = True

    async def advance(self, ms: int) -> None:
        async with self._moved:
            for _ in range(ms // FRAME_MS):
                if self._queued:
                    self.sent.extend(self._queued.pop(0))
                    self._played_ms += FRAME_MS
            self._moved.notify_all()

    # What the bot sees

    @property
    def played_ms(self) -> int:
        return self._played_ms

    @property
    def lead_ms(self) -> int:
        return LEAD_MS

    @property
    def queued_ms(self) -> int:
        return len(self._queued) * FRAME_MS

    async def answer(self) -> None:
        if self._over or not self.answers:
            raise LegEndedError("gone")
        self.answered = True

    async def reject(self, reason: RejectReason, *, retry_after_s: int | None = None) -> None:
        self.rejected = reason
        self.end(EndCause.REJECTED)

    async def receive(self) -> LegEvent:
        if self._over:
            raise LegEndedError("over")
        event = await self._events.get()
        self._over = isinstance(event, LegEnded)
        return event

    async def play(self, pcm: bytes) -> None:
        if self._gone:
            raise LegEndedError("gone")
        if not pcm or len(pcm) % OUTPUT_FRAME_BYTES:
            raise AudioFormatError(f"{len(pcm)} bytes")
        if not self._paced:
            self.sent.extend(pcm)
            self._played_ms += len(pcm) // OUTPUT_FRAME_BYTES * FRAME_MS
            await asyncio.sleep(0)
            return
        async with self._moved:
            await self._moved.wait_for(lambda: len(self._queued) * FRAME_MS < LEAD_MS)
            for start in range(0, len(pcm), OUTPUT_FRAME_BYTES):
                self._queued.append(pcm[start : start + OUTPUT_FRAME_BYTES])

    def flush(self) -> int:
        self.flushes += 1
        dropped = len(self._queued) * FRAME_MS
        self._queued.clear()
        return dropped

    async def drain(self) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: not self._queued)

    async def send_digits(self, digits: str) -> None:
        self.told.append(f"digits:{digits}")

    async def transfer(self, target: str, *, consult: object = None) -> None:
        self.transferred.append((target, self._played_ms))
        if self.transfer_fails is not None:
            raise self.transfer_fails
        self.end(EndCause.TRANSFERRED)

    def tell(self, text: str) -> None:
        self.told.append(text)

    async def hang_up(self) -> None:
        if not self.hung_up:
            self.hung_up = True
            self.end(EndCause.BOT_HUNG_UP)

    def stats(self) -> LegStats:
        return LegStats()
