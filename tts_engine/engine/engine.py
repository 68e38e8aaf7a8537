"""`SpeechEngine`: who may speak now, in which voice; the streams that run, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import uuid4

import structlog

from tts_engine.backend.port import Backend, BackendDescription, BackendHealth, VoiceRequest
from tts_engine.engine.history import HistoryLimits
from tts_engine.engine.recollection import Recollection
from tts_engine.engine.store import ConversationStore, StoreUnavailableError
from tts_engine.engine.utterance import Utterance, UtteranceLimits
from tts_engine.errors import SpeechCapacityError, SpeechError, SpeechRequestError, SpeechUnavailableError
from tts_engine.metrics import SpeechMetrics
from tts_engine.protocol import SpeechRequest
from tts_engine.voices import check_model, check_speed, choose_language, choose_voice

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """How much the engine takes on."""

    max_streams: int | None = None  # None: the backend's capacity
    retry_after_s: float = 1.0  # what a client is told that finds no place
    utterance: UtteranceLimits = field(default_factory=UtteranceLimits)
    history: HistoryLimits = field(default_factory=HistoryLimits)


class SpeechEngine:
    """Stands between any number of connections and one backend."""

    def __init__(
        self,
        backend: Backend,
        store: ConversationStore,
        metrics: SpeechMetrics,
        *,
        limits: EngineLimits,
        default_voice: str = "",
        clock: Callable[[], float],
    ) -> None:
        self.conversations = Recollection(backend, store, metrics, limits.history, default_voice=default_voice)
        self._backend = backend
        self._store = store
        self._metrics = metrics
        self._limits = limits
        self._default_voice = default_voice
        self._clock = clock
        self._streams = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def description(self) -> BackendDescription:
        """What the backend can do."""
        return self._backend.description

    @property
    def health(self) -> BackendHealth:
        """Whether a new utterance would be taken; a full server is healthy."""
        return BackendHealth(ready=False, detail="draining") if self._draining else self._backend.health()

    @property
    def streams(self) -> int:
        """To how many it speaks now."""
        return self._streams

    async def start(self) -> None:
        """Start the backend; raises `SpeechUnavailableError` with the remedy."""
        choose_voice(self._default_voice, self.description, "")
        await self._backend.start()
        try:
            await self._store.ping()
        except StoreUnavailableError as error:
            log.warning("conversation_store_unavailable", error=str(error), remedy="voices speak without context")

    async def close(self) -> None:
        """Stop the backend and let go of the store."""
        await self.conversations.close()
        await self._backend.close()
        await self._store.close()

    def begin_drain(self) -> None:
        """Take no new utterance from now on."""
        self._draining = True
        self._metrics.draining.set(1)

    async def drained(self) -> None:
        """Wait until nothing is spoken any more."""
        await self._idle.wait()

    @asynccontextmanager
    async def speak(self, request: SpeechRequest) -> AsyncGenerator[Utterance, None]:
        """Admit a request, and hold its place as long as the context lasts; leaving it aborts what runs.

        Raises `SpeechRequestError`, `SpeechCapacityError` or `SpeechUnavailableError` at once: nobody
        waits for a place.
        """
        try:
            admitted = self._admit(request)
        except SpeechError as error:
            self._metrics.rejected.labels(type(error).__name__).inc()
            raise
        self._count_streams(+1)
        try:
            context = await self.conversations.context(request.conversation)
            async with self._spoken(request, replace(admitted, context=context)) as utterance:
                yield utterance
        finally:
            self._count_streams(-1)

    @asynccontextmanager
    async def _spoken(self, request: SpeechRequest, admitted: VoiceRequest) -> AsyncGenerator[Utterance, None]:
        conversation = request.conversation
        turn_id = conversation.turn_id if conversation is not None else None
        utterance = Utterance(
            request,
            turn_id or admitted.request_id,
            self._backend.generate(admitted),
            self._limits.utterance,
            self._clock,
        )
        if conversation is not None:
            self.conversations.begin(conversation.id, utterance, voice=admitted.voice)
        outcome = "cancelled"
        try:
            yield utterance
            outcome = "spoken" if utterance.complete else outcome
        except (SpeechRequestError, SpeechCapacityError) as error:  # the backend's own word, later than ours
            outcome = ""
            utterance.remembered = False
            self._metrics.rejected.labels(type(error).__name__).inc()
            raise
        except SpeechError as error:
            outcome = "failed"
            utterance.remembered = False
            log.warning("utterance_failed", request_id=admitted.request_id, error=str(error))
            raise
        finally:
            await utterance.close()
            if outcome:
                self._count(utterance, outcome)
            if conversation is not None:
                self.conversations.end(conversation.id, utterance)

    def _admit(self, request: SpeechRequest) -> VoiceRequest:
        description = self.description
        check_model(request.model, description)
        check_speed(request.speed, description)
        voice = choose_voice(request.voice, description, self._default_voice)
        language = choose_language(request.language, description)
        health = self.health
        if not health.ready:
            raise SpeechUnavailableError(f"the speech server cannot speak now: {health.detail}")
        places = self._backend.capacity()
        if self._limits.max_streams is not None:
            places = min(places, self._limits.max_streams)
        if self._streams >= places:
            raise SpeechCapacityError("every stream is taken", retry_after_s=self._limits.retry_after_s)
        return VoiceRequest(
            request_id=uuid4().hex,
            text=request.text,
            voice=voice,
            language=language,
            speed=request.speed,
            seed=request.seed,
            max_frames=request.max_new_tokens,
            context=(),
            temperature=request.temperature,
            top_k=request.top_k,
        )

    def _count_streams(self, change: int) -> None:
        self._streams += change
        self._metrics.streams.set(self._streams)
        if self._streams:
            self._idle.clear()
        else:
            self._idle.set()

    def _count(self, utterance: Utterance, outcome: str) -> None:
        self._metrics.utterances.labels(outcome).inc()
        self._metrics.audio_seconds.inc(utterance.duration_s)
        if utterance.first_audio_s is not None:
            self._metrics.first_audio.observe(utterance.first_audio_s)
        if utterance.request.conversation is not None:
            self._metrics.context_seconds.observe(utterance.context_used.seconds)
            self._metrics.cached_frames.inc(utterance.context_used.cached_frames)
