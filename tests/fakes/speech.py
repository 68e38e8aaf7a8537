"""A voice for tests: how long it speaks depends on the text, what it says on the request; it fails on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from tts_engine.backend.port import (
    AudioChunk,
    BackendDescription,
    BackendHealth,
    CodecFormat,
    ContextHeard,
    PartBegins,
    SpokenTurn,
    Truncated,
    VoiceItem,
    VoiceRequest,
)
from tts_engine.errors import SpeechUnavailableError

SAMPLE_RATE_HZ = 24_000
FRAME_SAMPLES = 1920  # 80 ms, as Mimi's
FRAME_BYTES = FRAME_SAMPLES * 2
CODEC = CodecFormat(codebooks=32, frame_hz=12.5)


def frames_of(text: str) -> int:
    """How many frames the fake speaks for a text: one a letter."""
    return len(text)


def tone(text: str, frame: int) -> bytes:
    """One frame of the text's own tone, of 200 to 455 Hz."""
    step = 2 * np.pi * (200 + sha256(text.encode()).digest()[0]) / SAMPLE_RATE_HZ
    samples = np.arange(frame * FRAME_SAMPLES, (frame + 1) * FRAME_SAMPLES)
    return np.rint(9000 * np.sin(step * samples)).astype("<i2").tobytes()


def codes_of(seed: bytes, frame: int) -> bytes:
    """One frame of codes, that tells by its bytes what it was made from."""
    digest = sha256(seed + frame.to_bytes(4, "little")).digest()
    return bytes(byte if at % 2 else byte & 0x07 for at, byte in enumerate(digest * 2))


@dataclass
class FakeBackend:
    """Speaks frame by frame as fast as it is read. Set the faults before it is asked."""

    codec: CodecFormat | None = CODEC
    streams: int = 8
    fail_at: int | None = None  # the frame at which `fault` is raised
    fault: Exception = field(default_factory=lambda: RuntimeError("cuda died"))
    hold_at: int | None = None  # the frame before which it waits for `go_on`
    piece_at: int | None = None  # the letter, and so the frame, at which a second piece begins
    truncates: bool = False  # it says that it was stopped by its cap
    down: str = ""  # why it is not ready
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[VoiceRequest] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)  # request ids
    encoded: list[tuple[int, int]] = field(default_factory=list)  # bytes and rate
    read: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)  # voice and turns, ahead of requests
    made_frames: int = 0
    started: bool = False
    closed: bool = False

    @property
    def description(self) -> BackendDescription:
        return BackendDescription(
            name="fake",
            model="fake-tones",
            voices=("az", "az-low"),
            languages=("az", "tr"),
            speed_min=0.5,
            speed_max=2.0,
            codec=self.codec,
        )

    async def start(self) -> None:
        self.started = True

    async def close(self) -> None:
        self.closed = True

    def health(self) -> BackendHealth:
        return BackendHealth(ready=not self.down, detail=self.down)

    def capacity(self) -> int:
        return self.streams

    async def generate(self, request: VoiceRequest) -> AsyncGenerator[VoiceItem, None]:
        self.asked.append(request)
        if self.down:
            raise SpeechUnavailableError(self.down)
        complete = False
        try:
            if request.context:
                yield ContextHeard(len(request.context), sum(t.duration_s for t in request.context), cached_frames=3)
            for frame in range(frames_of(request.text)):
                if frame == self.piece_at:
                    yield PartBegins(frame)
                await self._stumble(frame)
                self.made_frames += 1
                codes = codes_of(request.text.encode(), frame) if self.codec is not None else b""
                yield AudioChunk(tone(request.text, frame), codes)
            if self.truncates:
                yield Truncated()
            complete = True
        finally:
            if not complete:
                self.aborted.append(request.request_id)

    def read_ahead(self, voice: str, context: tuple[SpokenTurn, ...]) -> None:
        self.read.append((voice, tuple(turn.turn_id for turn in context)))

    async def encode(self, pcm: bytes, sample_rate_hz: int) -> bytes:
        self.encoded.append((len(pcm), sample_rate_hz))
        if self.codec is None:
            return b""
        frames = round(len(pcm) / 2 / sample_rate_hz * self.codec.frame_hz)
        return b"".join(codes_of(pcm, frame) for frame in range(frames))

    async def _stumble(self, frame: int) -> None:
        if frame == self.fail_at:
            raise self.fault
        if frame == self.hold_at:
            self.held.set()
            await self.go_on.wait()
