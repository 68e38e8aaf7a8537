from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from tests.fakes.clock import FakeClock
from tests.fakes.speech import FakeBackend
from tts_engine.engine.engine import EngineLimits, SpeechEngine
from tts_engine.engine.memory_store import MemoryConversationStore
from tts_engine.metrics import SpeechMetrics
from tts_engine.routes_stream import StreamLimits
from tts_engine.server import create_server


async def test_who_leaves_in_the_middle_of_a_request_raises_nothing_that_would_be_logged() -> None:
    clock, metrics, backend = FakeClock(), SpeechMetrics(CollectorRegistry()), FakeBackend()
    store = MemoryConversationStore(ttl_s=60, max_conversations=10, clock=clock)
    engine = SpeechEngine(backend, store, metrics, limits=EngineLimits(), clock=clock)
    comes: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    scope = {"type": "http", "method": "POST", "path": "/v1/audio/speech", "query_string": b"", "headers": []}

    async def receive() -> dict[str, Any]:
        return comes.pop(0)

    async def send(_: object) -> None:
        """Nobody is there."""

    await create_server(engine, metrics, StreamLimits())(scope, receive, send)  # raises what it does not know

    assert backend.asked == []
