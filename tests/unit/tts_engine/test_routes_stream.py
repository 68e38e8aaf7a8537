from __future__ import annotations

import asyncio
import gc
import json
import weakref

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


class LeavingClient:
    """A WebSocket whose client asks for one utterance, hears some of it and is gone."""

    def __init__(self) -> None:
        asked = {"type": "input.text", "text": "Salam."}, {"type": "input.done"}
        self._says = [{"type": "websocket.receive", "text": json.dumps(each)} for each in asked]
        self._heard = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        if self._says:
            return self._says.pop(0)
        await self._heard.wait()
        return {"type": "websocket.disconnect"}

    async def send_text(self, text: str) -> None:
        """Take it."""

    async def send_bytes(self, _: bytes) -> None:
        self._heard.set()
        await asyncio.Event().wait()


async def test_a_client_that_leaves_in_the_middle_leaves_nothing_for_the_collector() -> None:
    clock, metrics = FakeClock(), SpeechMetrics(CollectorRegistry())
    store = MemoryConversationStore(ttl_s=60, max_conversations=10, clock=clock)
    engine = SpeechEngine(FakeBackend(), store, metrics, limits=EngineLimits(), clock=clock)
    gc.disable()
    try:
        socket = SpeechSocket(LeavingClient(), engine, metrics, StreamLimits())
        gone = weakref.ref(socket)
        await socket.serve()
        del socket
        await asyncio.sleep(0)
        assert engine.streams == 0
        assert gone() is None
    finally:
        gc.enable()
