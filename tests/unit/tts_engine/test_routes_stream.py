from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from tests.fakes.clock import FakeClock
from tests.fakes.speech import FakeBackend
from tts_engine.engine.engine import EngineLimits, SpeechEngine
from tts_engine.engine.memory_store import MemoryConversationStore
from tts_engine.metrics import SpeechMetrics
from tts_engine.outbox import MAX_TEXT_BYTES
from tts_engine.routes_stream import SpeechSocket, StreamLimits


class DeafClient:
    """A WebSocket whose client says nonsense for ever and takes nothing."""

    def __init__(self) -> None:
        self.read = 0

    async def receive(self) -> dict[str, str]:
        await asyncio.sleep(0)
        self.read += 1
        return {"type": "websocket.receive", "text": "{}"}

    async def send_text(self, text: str) -> None:
        await asyncio.Event().wait()


async def test_a_client_that_takes_no_answers_is_read_no_further() -> None:
    clock, metrics, client = FakeClock(), SpeechMetrics(CollectorRegistry()), DeafClient()
    store = MemoryConversationStore(ttl_s=60, max_conversations=10, clock=clock)
    engine = SpeechEngine(FakeBackend(), store, metrics, limits=EngineLimits(), clock=clock)
    serving = asyncio.create_task(SpeechSocket(client, engine, metrics, StreamLimits()).serve())

    read = -1
    while read != client.read:
        read = client.read
        for _ in range(10):
            await asyncio.sleep(0)
        assert read < MAX_TEXT_BYTES  # an answer is longer than a byte

    assert read > 100
    serving.cancel()
