"""The speech server's composition root: settings in, a running process out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from importlib import import_module
from socket import socket
from types import FrameType

import uvicorn
from prometheus_client import CollectorRegistry

from tts_engine.backend.espeak import EspeakBackend
from tts_engine.backend.port import Backend
from tts_engine.collector import collect_in_silence, hold_back
from tts_engine.descriptors import room_for_connections
from tts_engine.engine.engine import EngineLimits, SpeechEngine
from tts_engine.engine.history import HistoryLimits
from tts_engine.engine.memory_store import MemoryConversationStore
from tts_engine.engine.redis_store import RedisConversationStore, connect
from tts_engine.engine.store import ConversationStore
from tts_engine.engine.utterance import UtteranceLimits
from tts_engine.errors import SpeechUnavailableError
from tts_engine.listener import listen
from tts_engine.log import set_up_logging
from tts_engine.metrics import SpeechMetrics
from tts_engine.punctual_http import punctual_http
from tts_engine.routes_stream import StreamLimits
from tts_engine.server import create_server
from tts_engine.settings import TtsSettings
from tts_engine.websocket import BoundedWebSocket

LEAVE_TIMEOUT_S = 2  # once nothing is spoken any more, or no longer waited for: what is left are half-sent requests
MAX_MESSAGE_BYTES = 4 * 1024 * 1024  # settings with quoted turns, audio included


def build_backend(settings: TtsSettings) -> Backend:
    """Make the backend that is asked for; raises `SpeechUnavailableError` with the remedy.

    Only its own packages are imported: espeak-ng needs no torch, and torch no vLLM.
    """
    try:
        match settings.backend:
            case "espeak":
                return EspeakBackend(settings.espeak)
            case "torch" | "vllm":
                return import_module("tts_engine.csm_app").csm_backend(settings.csm, settings.backend)
    except ImportError as error:
        remedy = f"pip install 'zeng[{settings.backend}]'"
        raise SpeechUnavailableError(f"backend {settings.backend!r} cannot be loaded: {error}; {remedy}") from error
    except Exception as error:  # a checkpoint that is missing or does not fit
        raise SpeechUnavailableError(f"backend {settings.backend!r} cannot be made: {error}") from error


def build_store(settings: TtsSettings) -> ConversationStore:
    """Make the conversation store."""
    if settings.redis_url:
        redis = connect(settings.redis_url, timeout_s=settings.redis_timeout_ms / 1000)
        return RedisConversationStore(redis, ttl_s=settings.conversation_ttl_s)
    return MemoryConversationStore(
        ttl_s=settings.conversation_ttl_s,
        max_conversations=settings.memory_max_conversations,
        clock=time.monotonic,
    )


def build_engine(settings: TtsSettings, metrics: SpeechMetrics) -> SpeechEngine:
    """Make the engine; nothing runs before `start()`."""
    limits = EngineLimits(
        max_streams=settings.max_streams,
        retry_after_s=settings.retry_after_s,
        utterance=UtteranceLimits(
            first_audio_timeout_s=settings.first_audio_timeout_s,
            chunk_timeout_s=settings.chunk_timeout_s,
            max_audio_s=settings.max_audio_s,
        ),
        history=HistoryLimits(max_turns=settings.conversation_max_turns, max_bytes=settings.conversation_max_bytes),
    )
    return SpeechEngine(
        build_backend(settings),
        build_store(settings),
        metrics,
        limits=limits,
        default_voice=settings.voice,
        clock=time.monotonic,
    )


class DrainingServer(uvicorn.Server):
    """Ends at the first signal as soon as nothing is spoken any more; at the second, at once.

    uvicorn by itself cuts every WebSocket in the instant of SIGTERM.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        engine: SpeechEngine,
        *,
        drain_timeout_s: float,
        on_ready: Callable[[str], None],
    ) -> None:
        super().__init__(config)
        self._engine = engine
        self._on_ready = on_ready
        self._drain_timeout_s = drain_timeout_s
        self._draining: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start, and tell where: the port may have been left to the system."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._on_ready(f"http://{host}:{port}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal, in the middle of whatever the loop does."""
        if self._draining is None:
            self._loop.call_soon_threadsafe(self._begin_drain)
        else:
            super().handle_exit(sig, frame)

    def _begin_drain(self) -> None:
        if self._draining is None:
            self._engine.begin_drain()
            self._draining = self._loop.create_task(self._drain())

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self._drain_timeout_s):
                await self._engine.drained()
        except TimeoutError:
            pass  # what is still spoken is cut
        finally:
            self.should_exit = True


async def serve(settings: TtsSettings, *, on_ready: Callable[[str], None]) -> None:
    """Serve until a signal ends it; `on_ready` is told the URL.

    Raises `SpeechUnavailableError` if it cannot start.
    """
    set_up_logging(level="INFO", process=f"tts-{settings.port}" if settings.port else "tts")
    metrics = SpeechMetrics(CollectorRegistry())
    engine = build_engine(settings, metrics)
    limits = StreamLimits(
        max_connections=settings.max_connections,
        send_buffer_bytes=settings.send_buffer_bytes,
        stall_timeout_s=settings.stall_timeout_s,
        idle_timeout_s=settings.idle_timeout_s,
        body_timeout_s=settings.body_timeout_s,
    )
    config = uvicorn.Config(
        create_server(engine, metrics, limits),
        log_config=None,
        access_log=False,
        http=punctual_http(
            request_timeout_s=2 * settings.body_timeout_s,  # head and body; the body gets a 408 first
            most_connections=room_for_connections(),
        ),
        ws=BoundedWebSocket,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=LEAVE_TIMEOUT_S,
    )
    server = DrainingServer(config, engine, drain_timeout_s=settings.drain_timeout_s, on_ready=on_ready)
    listener = listen(settings.host, settings.port, dead_after_s=2 * settings.stall_timeout_s)
    try:
        await engine.start()
        hold_back()  # with vLLM imported 630,000 objects stand
        collecting = asyncio.create_task(collect_in_silence(lambda: engine.streams, time.monotonic))
        try:
            await server.serve(sockets=[listener])
        finally:
            collecting.cancel()
    finally:
        listener.close()
        await engine.close()
