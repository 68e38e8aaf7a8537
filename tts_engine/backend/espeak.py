"""espeak-ng as a backend: the voice until weights are configured. Formant speech, but Azerbaijani and instant."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

from tts_engine.backend.espeak_process import EspeakJob
from tts_engine.backend.espeak_worker import EspeakWorker, PieceOfSpeech
from tts_engine.backend.leading_silence import LeadingSilence
from tts_engine.backend.port import (
    AudioChunk,
    BackendDescription,
    BackendHealth,
    SpokenTurn,
    Truncated,
    VoiceItem,
    VoiceRequest,
)
from tts_engine.backend.text_pieces import cut_text
from tts_engine.errors import SpeechUnavailableError
from tts_engine.protocol import SAMPLE_RATE_HZ
from tts_engine.resample import StreamResampler
from tts_engine.settings import EspeakSettings

DESCRIPTION = BackendDescription(
    name="espeak",
    model="espeak-ng",
    voices=("az", "az+f2", "az+f3", "az+m3"),  # espeak-ng's Azerbaijani, and its variants
    languages=("az",),
    speed_min=0.5,
    speed_max=2.5,
)
# 10 to 20 ms of synthesis: others wait no longer. It bounds what is kept of a stream whose client is slow, too.
_PIECE_CHARS = 300
_KEEP_SILENCE_MS = 30
_FRAME_BYTES = SAMPLE_RATE_HZ * 80 // 1000 * 2  # of `max_frames`
_STREAMS_PER_PROCESS = 64  # at 0.4 % of a core each


class EspeakBackend:
    """Speaks through a few espeak-ng processes; streams take turns piece by piece. Hears no context."""

    def __init__(self, settings: EspeakSettings) -> None:
        self._settings = settings
        self._jobs: asyncio.Queue[PieceOfSpeech] = asyncio.Queue()  # at most one a stream
        self._workers = [
            EspeakWorker(self._jobs, job_timeout_s=settings.job_timeout_s) for _ in range(settings.processes)
        ]

    @property
    def description(self) -> BackendDescription:
        """What it can do."""
        return DESCRIPTION

    async def start(self) -> None:
        """Start the processes; raises `SpeechUnavailableError` if espeak-ng is not installed."""
        try:
            await asyncio.gather(*(worker.start() for worker in self._workers))
        except SpeechUnavailableError:
            await self.close()
            raise

    async def close(self) -> None:
        """End the processes."""
        await asyncio.gather(*(worker.close() for worker in self._workers))
        while not self._jobs.empty():
            self._jobs.get_nowait().end(SpeechUnavailableError("the speech server is closing"))

    def health(self) -> BackendHealth:
        """Ready as long as one process is."""
        if any(worker.ready for worker in self._workers):
            return BackendHealth(ready=True)
        return BackendHealth(ready=False, detail="no espeak-ng process runs")

    def capacity(self) -> int:
        """Streams that the processes carry faster than real time."""
        return _STREAMS_PER_PROCESS * len(self._workers)

    def process_ids(self) -> list[int]:
        """Ids of the processes that run."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    async def generate(self, request: VoiceRequest) -> AsyncGenerator[VoiceItem, None]:
        """Speak piece after piece; the next is not begun before the last was taken."""
        rate_hz = max(worker.sample_rate_hz for worker in self._workers)
        silence = LeadingSilence(sample_rate_hz=rate_hz, keep_ms=_KEEP_SILENCE_MS)
        resampler = StreamResampler(rate_hz, SAMPLE_RATE_HZ)
        left_bytes = sys.maxsize if request.max_frames is None else request.max_frames * _FRAME_BYTES
        async with aclosing(self._spoken(request, rate_hz)) as spoken:
            async for pcm in spoken:
                out = resampler.feed(silence.feed(pcm))[:left_bytes]
                left_bytes -= len(out)
                yield AudioChunk(out)
                await asyncio.sleep(0)  # a piece comes in one burst, which must not hold up other streams
                if left_bytes <= 0:
                    yield Truncated()
                    return
        yield AudioChunk(resampler.flush()[:left_bytes])

    def read_ahead(self, voice: str, context: tuple[SpokenTurn, ...]) -> None:
        """It hears no context."""

    async def encode(self, pcm: bytes, sample_rate_hz: int) -> bytes:  # noqa: ARG002  # the port's signature
        """Give nothing: espeak-ng has no codec."""
        return b""

    async def _spoken(self, request: VoiceRequest, rate_hz: int) -> AsyncGenerator[bytes, None]:
        words_per_minute = round(self._settings.words_per_minute * request.speed)
        for text in cut_text(request.text, max_chars=_PIECE_CHARS):
            piece = PieceOfSpeech(EspeakJob(request.voice, words_per_minute, self._settings.pitch, text.text))
            self._jobs.put_nowait(piece)
            async with aclosing(piece.audio()) as audio:
                async for pcm in audio:
                    yield pcm
            yield bytes(2 * round(rate_hz * text.pause_ms / 1000 / request.speed))
