"""A real speech server on a free port of this machine, over whatever voice a test gives it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from prometheus_client import CollectorRegistry

from tts_engine.app import DrainingServer
from tts_engine.backend.port import Backend
from tts_engine.engine.engine import EngineLimits, SpeechEngine
from tts_engine.engine.memory_store import MemoryConversationStore
from tts_engine.engine.store import ConversationStore
from tts_engine.listener import listen
from tts_engine.metrics import SpeechMetrics
from tts_engine.punctual_http import punctual_http
from tts_engine.routes_stream import StreamLimits
from tts_engine.server import create_server
from tts_engine.websocket import BoundedWebSocket


@dataclass
class RunningServer:
    url: str
    engine: SpeechEngine
    store: ConversationStore
    server: DrainingServer
    metrics: SpeechMetrics
    running: asyncio.Task[None]

    async def stop(self) -> None:
        self.server.should_exit = True
        await self.running
        await self.engine.close()

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"zeng_tts_{name}", labels) or 0.0


@asynccontextmanager
async def speech_server(
    backend: Backend,
    *,
    store: ConversationStore | None = None,
    limits: EngineLimits | None = None,
    stream_limits: StreamLimits | None = None,
    port: int = 0,
) -> AsyncGenerator[RunningServer, None]:
    metrics = SpeechMetrics(CollectorRegistry())
    store = store or MemoryConversationStore(ttl_s=60, max_conversations=100, clock=time.monotonic)
    engine = SpeechEngine(backend, store, metrics, limits=limits or EngineLimits(), clock=time.monotonic)
    app = create_server(engine, metrics, stream_limits or StreamLimits())
    http = punctual_http(request_timeout_s=20.0, most_connections=1000)
    config = uvicorn.Config(app, log_level="error", http=http, ws=BoundedWebSocket, timeout_graceful_shutdown=1)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = DrainingServer(config, engine, drain_timeout_s=2.0, on_ready=ready.set_result)
    await engine.start()
    running = asyncio.create_task(server.serve(sockets=[listen("127.0.0.1", port, dead_after_s=1.0)]))
    running_server = RunningServer(await ready, engine, store, server, metrics, running)
    try:
        yield running_server
    finally:
        await running_server.stop()
