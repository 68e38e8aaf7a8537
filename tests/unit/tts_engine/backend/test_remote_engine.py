from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tts_engine.backend import remote_engine
from tts_engine.backend.csm_engine import EngineEvent, Failed, Finished, Job, Refused, Spoke
from tts_engine.backend.engine_wire import (
    Abort,
    EngineDescription,
    EngineMessage,
    EngineState,
    EngineUnpacker,
    ReadAhead,
    Submit,
    pack,
)
from tts_engine.backend.remote_engine import RemoteEngine
from tts_engine.errors import SpeechCapacityError, SpeechUnavailableError
from tts_engine.model.prompt import Passage, Prompt
from tts_engine.model.sampling import Sampling

WANTED = EngineDescription("csm-az", "aygun", 0, 512, 8, 1920)
FOUND = replace(WANTED, streams=2, positions=2048)
PROMPT = Prompt((Passage(np.arange(3, dtype=np.int32)),), 8)


def job(key: int) -> Job:
    return Job(key, PROMPT, Sampling(), 5)


class Host:
    """An engine's side, by hand: what it is told, and what it says to the server that came last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.greeting = pack(FOUND) + pack(EngineState(""))
        self.told: asyncio.Queue[EngineMessage] = asyncio.Queue()
        self.writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        if self.writer is not None:
            self.writer.transport.abort()
        self.path.unlink(missing_ok=True)

    def say(self, message: EngineMessage, key: int = 0) -> None:
        assert self.writer is not None
        self.writer.write(pack(message, key))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        writer.write(self.greeting)
        unpacker = EngineUnpacker(8)
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                unpacker.room()[: len(data)] = data
                for message in unpacker.received(len(data)):
                    self.told.put_nowait(message)
        writer.transport.abort()


class Heard:
    def __init__(self) -> None:
        self._events: queue.SimpleQueue[EngineEvent] = queue.SimpleQueue()

    def take(self, events: object) -> None:
        for event in events:  # type: ignore[attr-defined] - a sequence of them
            self._events.put(event)

    async def next(self) -> EngineEvent:
        return await asyncio.to_thread(self._events.get, timeout=30)

    @property
    def nothing(self) -> bool:
        return self._events.empty()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_engine, "_RETRY_S", 0.01)


@asynccontextmanager
async def linked(tmp_path: Path) -> AsyncGenerator[tuple[Host, RemoteEngine, Heard], None]:
    host, heard = Host(tmp_path / "engine.sock"), Heard()
    engine = RemoteEngine(host.path, WANTED, start_timeout_s=30)
    await host.open()
    await asyncio.to_thread(engine.start, heard.take)
    try:
        yield host, engine, heard
    finally:
        await asyncio.to_thread(engine.close)
        await host.close()


async def expect_failure(engine: RemoteEngine, part: str) -> None:
    """Wait until the engine's failure says so; empty: until it speaks."""
    while part not in engine.failure or (not part and engine.failure):
        await asyncio.sleep(0.001)


async def test_jobs_go_there_and_what_is_said_comes_back(tmp_path: Path):
    async with linked(tmp_path) as (host, engine, heard):
        assert (engine.failure, engine.capacity) == ("", 2)
        engine.submit(job(4))
        told = await host.told.get()
        assert isinstance(told, Submit)
        assert (told.job.key, told.job.max_frames, told.job.prompt.tokens.tolist()) == (4, 5, [0, 1, 2])
        host.say(Spoke(4, b"ab", b"c"), 4)
        host.say(Finished(4, "stop"), 4)
        assert [await heard.next() for _ in range(2)] == [Spoke(4, b"ab", b"c"), Finished(4, "stop")]
        engine.read_ahead(PROMPT)
        assert isinstance(await host.told.get(), ReadAhead)


async def test_a_place_is_free_again_when_its_job_has_ended_was_aborted_or_refused(tmp_path: Path):
    async with linked(tmp_path) as (host, engine, heard):
        for key in (1, 2):
            engine.submit(job(key))
            assert isinstance(await host.told.get(), Submit)
        with pytest.raises(SpeechCapacityError, match="all 2 streams"):
            engine.submit(job(3))
        engine.abort(1)
        engine.abort(1)
        engine.submit(job(3))
        assert await host.told.get() == Abort(1)
        assert isinstance(await host.told.get(), Submit)
        host.say(Refused(3, "every place is taken"), 3)
        assert await heard.next() == Refused(3, "every place is taken")
        engine.submit(job(4))
        host.say(Finished(2, "stop"), 2)
        assert await heard.next() == Finished(2, "stop")
        engine.submit(job(5))


async def test_an_engine_that_goes_away_fails_its_jobs_and_is_found_again(tmp_path: Path):
    async with linked(tmp_path) as (host, engine, heard):
        engine.submit(job(1))
        await host.told.get()
        await host.close()
        failed = await heard.next()
        assert isinstance(failed, Failed)
        assert (failed.key, failed.message) == (1, f"the engine at {host.path} has gone away")
        await expect_failure(engine, "start one with `zeng tts engine`")
        engine.submit(job(2))  # whoever had not seen it yet
        failed = await heard.next()
        assert isinstance(failed, Failed)
        assert failed.key == 2
        engine.abort(2)
        engine.read_ahead(PROMPT)

        await host.open()
        await expect_failure(engine, "")
        for key in (3, 4):
            engine.submit(job(key))  # all places are there again
        assert [(await host.told.get()).job.key for _ in range(2)] == [3, 4]  # type: ignore[union-attr]
        assert heard.nothing


async def test_what_the_engine_says_of_itself_is_its_failure_here(tmp_path: Path):
    async with linked(tmp_path) as (host, engine, _):
        host.say(EngineState("vLLM's process has gone away"))
        await expect_failure(engine, "vLLM's process has gone away")
        host.say(EngineState(""))
        await expect_failure(engine, "")


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (replace(FOUND, model="csm-tr"), "the model is 'csm-tr' there and 'csm-az' here"),
        (replace(FOUND, adapter=""), "the adapter is '' there and 'aygun' here"),
        (replace(FOUND, codebooks=32), "codebooks is 32 there and 8 here"),
        (replace(FOUND, frame_samples=960), "a frame in samples is 960 there"),
        (replace(FOUND, positions=256), "positions are 256 there and 512 here"),
    ],
)
async def test_an_engine_for_other_prompts_is_not_spoken_by(tmp_path: Path, found: EngineDescription, named: str):
    host = Host(tmp_path / "engine.sock")
    host.greeting = pack(found) + pack(EngineState(""))
    await host.open()
    engine = RemoteEngine(host.path, WANTED, start_timeout_s=30)
    with pytest.raises(SpeechUnavailableError) as caught:
        await asyncio.to_thread(engine.start, lambda _: None)
    assert named in str(caught.value)
    assert "the same [tts.csm]" in str(caught.value)
    await asyncio.to_thread(engine.close)
    await host.close()


async def test_an_engine_exchanged_for_another_model_is_not_spoken_by(tmp_path: Path):
    async with linked(tmp_path) as (host, engine, _):
        await host.close()
        host.greeting = pack(replace(FOUND, model="csm-tr")) + pack(EngineState(""))
        await host.open()
        await expect_failure(engine, "'csm-tr' there")


async def test_what_is_no_engine_is_left(tmp_path: Path):
    async with linked(tmp_path) as (host, engine, _):
        host.say(Abort(1), 1)
        await expect_failure(engine, "an engine does not say Abort")
        await expect_failure(engine, "")


async def test_an_engine_that_reads_nothing_counts_as_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_engine, "HELD_BYTES", 1 << 16)
    long = Prompt((Passage(np.arange(1 << 18, dtype=np.int32)),), 8)
    async with linked(tmp_path) as (_, engine, heard):
        engine.submit(job(1))
        for _ in range(8):  # faster than the other side, which this test runs, comes to read them
            engine.read_ahead(long)
        failed = await heard.next()
        assert isinstance(failed, Failed)
        assert failed.key == 1


async def test_where_no_engine_comes_in_time_the_remedy_is_said(tmp_path: Path):
    engine = RemoteEngine(tmp_path / "engine.sock", WANTED, start_timeout_s=0.2)
    with pytest.raises(SpeechUnavailableError, match="start one with `zeng tts engine`"):
        await asyncio.to_thread(engine.start, lambda _: None)
    engine.close()
    engine.close()
    assert engine.failure == "the engine is left"


def test_one_that_was_never_started_can_be_closed(tmp_path: Path):
    engine = RemoteEngine(tmp_path / "engine.sock", WANTED)
    engine.close()
    assert engine.failure == "the engine is left"
