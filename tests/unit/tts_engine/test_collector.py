from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from tts_engine import collector
from tts_engine.collector import EVERY_S, MOST_GARBAGE_BYTES, STREAM_BYTES, collect_in_silence, hold_back


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """One entry a walk; the looks follow one another at once."""
    made: list[None] = []
    monkeypatch.setattr(collector, "_LOOK_S", 0.0)
    monkeypatch.setattr(collector.gc, "collect", lambda: made.append(None) or 0)
    yield made
    gc.unfreeze()
    gc.enable()


class Server:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.streams, self.now, self.memory = 0, 0.0, 0
        monkeypatch.setattr(collector, "_most_memory_bytes", lambda: self.memory)
        self.task = asyncio.create_task(collect_in_silence(lambda: self.streams, lambda: self.now))

    async def look(self, times: int = 5) -> None:
        for _ in range(times):
            await asyncio.sleep(0)

    async def close(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch):
    made = Server(monkeypatch)
    await made.look()
    yield made
    await made.close()


async def test_silence_is_used_once_a_minute(walks: list[None], server: Server):
    await server.look()
    assert walks == []
    server.now = EVERY_S
    await server.look()
    assert len(walks) == 1
    server.now = 1.9 * EVERY_S
    await server.look()
    assert len(walks) == 1


async def test_nothing_is_walked_while_somebody_listens(walks: list[None], server: Server):
    server.streams, server.now = 1, 100 * EVERY_S
    await server.look()
    assert walks == []


async def test_too_much_garbage_is_collected_whoever_listens(walks: list[None], server: Server):
    server.streams, server.memory = 1, MOST_GARBAGE_BYTES + STREAM_BYTES
    await server.look()
    assert len(walks) == 1


async def test_what_streams_need_is_no_garbage(walks: list[None], server: Server):
    server.streams, server.memory = 2000, MOST_GARBAGE_BYTES + 1999 * STREAM_BYTES
    await server.look()
    assert walks == []


async def test_what_streams_needed_is_no_garbage_as_they_end(walks: list[None], server: Server):
    """Memory is measured at its highest: the last who speak would pay for all who did."""
    server.streams, server.memory = 1000, MOST_GARBAGE_BYTES + 999 * STREAM_BYTES
    await server.look()
    server.streams = 1
    await server.look()
    assert walks == []


async def test_a_walk_in_the_middle_of_speech_is_told_with_what_it_took(walks: list[None], server: Server):
    with capture_logs() as told:
        server.streams, server.memory = 2, MOST_GARBAGE_BYTES + 2 * STREAM_BYTES
        await server.look()
    (line,) = told
    assert (line["event"], line["streams"], line["grown_mb"], line["found"]) == ("memory_walked", 2, 514, 0)
    assert len(walks) == 1


def test_what_stands_is_frozen_and_the_others_are_walked_on_demand_only(walks: list[None]):
    frozen = gc.get_freeze_count()
    hold_back()
    assert gc.get_freeze_count() > frozen
    assert not gc.isenabled()
