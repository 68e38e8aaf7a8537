"""What keeping conversations costs a speech server's interpreter: in Redis, which several servers share, or in memory.

python tests/bench/bench_conversation_store.py
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fakes.redis_server import redis_server
from tts_engine.backend.port import SpokenTurn
from tts_engine.engine.history import Turns
from tts_engine.engine.memory_store import MemoryConversationStore
from tts_engine.engine.redis_store import RedisConversationStore, connect
from tts_engine.engine.store import ConversationStore

CALLS, TIMES, TURN_S = 50, 400, 5.0
BYTES_PER_S = 800  # 12.5 frames of 32 codes


def turn(name: str) -> SpokenTurn:
    """One of 5 s, as long as its text."""
    text = "Salam! Bu gün sizə necə kömək edə bilərəm, buyurun, eşidirəm?"
    return SpokenTurn(name, "user", text, TURN_S, os.urandom(int(TURN_S * BYTES_PER_S)))


async def measure(store: ConversationStore, turns: int) -> str:
    """Give the CPU time of this process for reading a conversation, and for adding a turn to it."""
    whole: Turns = tuple(turn(f"t{n}") for n in range(turns))
    for call in range(CALLS):
        await store.edit(f"{turns}-{call}", lambda _: whole)
    began = time.process_time()
    for n in range(TIMES):
        await store.load(f"{turns}-{n % CALLS}")
    read = time.process_time() - began
    more = [turn(f"more{n}") for n in range(TIMES)]
    began = time.process_time()
    for n in range(TIMES):
        await store.edit(f"{turns}-{n % CALLS}", lambda old, n=n: (*old[1:], more[n]))
    wrote = time.process_time() - began
    return f"{1000 * read / TIMES:6.3f} ms to read, {1000 * wrote / TIMES:6.3f} to add a turn"


async def main() -> None:
    """Print both, for a call of 40 s and of 120."""
    with tempfile.TemporaryDirectory() as folder, redis_server("redis", Path(folder)) as redis:
        stores: dict[str, ConversationStore] = {
            "memory": MemoryConversationStore(ttl_s=900, max_conversations=200, clock=time.monotonic),
            "redis": RedisConversationStore(connect(redis.url, timeout_s=2.0), ttl_s=900),
        }
        for name, store in stores.items():
            for turns in (8, 24):
                print(f"{name:7} {turns * TURN_S:4.0f} s in {turns:2} turns: {await measure(store, turns)}")
            await store.close()


if __name__ == "__main__":
    asyncio.run(main())
