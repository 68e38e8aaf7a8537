"""`Utterance`: one request while it is spoken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from tts_engine.backend.port import AudioChunk, ContextHeard, PartBegins, Truncated, VoiceItem
from tts_engine.errors import SpeechEngineError, SpeechError
from tts_engine.patience import Patience
from tts_engine.protocol import BYTES_PER_SECOND, ContextUsed, SpeechRequest


@dataclass(frozen=True, slots=True)
class UtteranceLimits:
    """When an utterance is given up."""

    first_audio_timeout_s: float = 10.0
    chunk_timeout_s: float = 5.0
    max_audio_s: float = 360.0


class Utterance:
    """Audio of one request, as a stream; what was made of it; and how it ended."""

    def __init__(
        self,
        request: SpeechRequest,
        turn_id: str,
        items: AsyncGenerator[VoiceItem, None],
        limits: UtteranceLimits,
        clock: Callable[[], float],
    ) -> None:
        self.request = request
        self.turn_id = turn_id
        self.context_used = ContextUsed()
        self.made_bytes = 0
        self.first_audio_s: float | None = None  # after the admission
        self.complete = False  # the backend said all of it, or as much as it may
        self.truncated = False  # it was as much as it may
        self.remembered = request.conversation is not None and request.conversation.mode != "none"
        self.heard_s: float | None = None  # of its turn, if the caller is known to have heard no more
        self.ended = asyncio.Event()
        self.joints: tuple[tuple[int, int], ...] = ()  # see SpokenTurn
        self._codes: list[bytes] = []
        self._items = items
        self._limits = limits
        self._clock = clock
        self._admitted_at = clock()

    @property
    def duration_s(self) -> float:
        """Length of the audio made so far."""
        return self.made_bytes / BYTES_PER_SECOND

    @property
    def codes(self) -> bytes:
        """Codes of the audio made so far."""
        return b"".join(self._codes)

    async def audio(self) -> AsyncGenerator[bytes, None]:
        """Speak: PCM16, 24 kHz. Raises `SpeechEngineError` and `SpeechUnavailableError`."""
        try:
            async with Patience() as patience:
                while (item := await self._next(patience)) is not None:
                    if isinstance(item, ContextHeard):
                        self.context_used = ContextUsed(
                            turns=item.turns, seconds=item.seconds, cached_frames=item.cached_frames
                        )
                    elif isinstance(item, PartBegins):
                        self.joints = (*self.joints, (item.letter, len(self.codes)))
                    elif isinstance(item, Truncated):
                        self.truncated = True
                    elif pcm := self._taken(item):
                        yield pcm
        except TimeoutError as error:
            raise SpeechEngineError(f"the voice made nothing for {self._waiting_s:g} s") from error
        self.complete = True

    async def close(self) -> None:
        """Abort whatever is still to come. Idempotent."""
        await self._items.aclose()
        self.ended.set()

    @property
    def _waiting_s(self) -> float:
        return self._limits.chunk_timeout_s if self.made_bytes else self._limits.first_audio_timeout_s

    async def _next(self, patience: Patience) -> VoiceItem | None:
        patience.begin(self._waiting_s)
        try:
            return await anext(self._items, None)
        except SpeechError:
            raise
        except Exception as error:
            raise SpeechEngineError(f"the voice failed: {error!r}") from error
        finally:
            patience.end()

    def _taken(self, chunk: AudioChunk) -> bytes:
        if chunk.codes:
            self._codes.append(chunk.codes)
        if chunk.pcm and self.first_audio_s is None:
            self.first_audio_s = self._clock() - self._admitted_at
        self.made_bytes += len(chunk.pcm)
        if self.duration_s > self._limits.max_audio_s:
            raise SpeechEngineError(f"the voice does not end: cut after {self._limits.max_audio_s:g} s")
        return chunk.pcm
