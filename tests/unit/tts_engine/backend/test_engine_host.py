from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import uvloop

from tests.fakes.speech_engine import FakeEngine
from tts_engine.backend import engine_host
from tts_engine.backend.csm_engine import Failed, Finished, Job, Recalled, Refused, Spoke
from tts_engine.backend.engine_host import EngineHost
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
from tts_engine.errors import SpeechUnavailableError
from tts_engine.listener import listening_at
from tts_engine.model.prompt import Passage, Prompt
from tts_engine.model.sampling import Sampling

DESCRIPTION = EngineDescription("csm-az", "", 2, 512, 8, 1920)
PROMPT = Prompt((Passage(np.arange(3, dtype=np.int32)),), 8)


class Visitor:
    """A speech server, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._unpacker = EngineUnpacker(8)
        self._got: list[EngineMessage] = []

    def say(self, message: EngineMessage, key: int = 0) -> None:
        self.writer.write(pack(message, key))

    def submit(self, key: int) -> None:
        self.say(Submit(Job(key, PROMPT, Sampling(), 5)), key)

    async def hears(self) -> EngineMessage:
        while not self._got:
            data = await self.reader.read(1 << 16)
            assert data, "the engine has left"
            self._unpacker.room()[: len(data)] = data
            self._got += self._unpacker.received(len(data))
        return self._got.pop(0)


class Stand:
    def __init__(self, path: Path, engine: FakeEngine, host: EngineHost, serving: asyncio.Task[None]) -> None:
        self._path, self.engine, self.host, self.serving = path, engine, host, serving
        self.visitors: list[Visitor] = []

    async def comes(self) -> Visitor:
        visitor = Visitor(*await asyncio.open_unix_connection(self._path))
        self.visitors.append(visitor)
        assert await visitor.hears() == DESCRIPTION
        assert await visitor.hears() == EngineState("")
        return visitor

    async def until(self, count: int) -> None:
        """Until the engine has had so many jobs."""
        while len(self.engine.jobs) < count:
            await asyncio.sleep(0)

    async def until_aborted(self, count: int) -> None:
        while len(self.engine.aborted) < count:
            await asyncio.sleep(0)


@asynccontextmanager
async def hosted(tmp_path: Path, engine: FakeEngine) -> AsyncGenerator[Stand, None]:
    host, ready = EngineHost(engine, DESCRIPTION), asyncio.Event()
    with listening_at(tmp_path / "engine.sock") as listener:
        serving = asyncio.create_task(host.run(listener, ready.set))
        await ready.wait()
        stand = Stand(tmp_path / "engine.sock", engine, host, serving)
        try:
            yield stand
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            for visitor in stand.visitors:
                visitor.writer.transport.abort()
            await asyncio.sleep(0)


async def test_each_server_hears_of_its_own_jobs_by_its_own_names(tmp_path: Path):
    async with hosted(tmp_path, FakeEngine()) as stand:
        one, other = await stand.comes(), await stand.comes()
        one.submit(1)
        await stand.until(1)
        other.submit(1)
        await stand.until(2)
        mine, theirs = (job.key for job in stand.engine.jobs)
        assert mine != theirs
        assert stand.engine.jobs[0].prompt.tokens.tolist() == [0, 1, 2]
        stand.engine.say(
            [Spoke(theirs, b"b", b"2"), Recalled(mine, 3), Spoke(mine, b"a", b"1"), Finished(theirs, "stop")]
        )
        assert [await one.hears() for _ in range(2)] == [Recalled(1, 3), Spoke(1, b"a", b"1")]
        assert [await other.hears() for _ in range(2)] == [Spoke(1, b"b", b"2"), Finished(1, "stop")]


async def test_a_job_without_a_place_is_refused_and_costs_the_others_nothing(tmp_path: Path):
    async with hosted(tmp_path, FakeEngine(capacity=1)) as stand:
        one, other = await stand.comes(), await stand.comes()
        one.submit(1)
        await stand.until(1)
        other.submit(9)
        assert await other.hears() == Refused(9, "all taken")
        stand.engine.say([Finished(stand.engine.jobs[0].key, "length")])
        assert await one.hears() == Finished(1, "length")


async def test_what_is_aborted_is_so_in_the_engine_and_nothing_is_heard_of_it(tmp_path: Path):
    async with hosted(tmp_path, FakeEngine()) as stand:
        server = await stand.comes()
        server.submit(1)
        server.submit(2)
        server.say(Abort(1), 1)
        server.say(Abort(77), 77)
        await stand.until_aborted(1)
        gone, stays = (job.key for job in stand.engine.jobs)
        assert stand.engine.aborted == [gone]
        stand.engine.say([Spoke(gone, b"a", b"1"), Failed(stays, "broken")])
        assert await server.hears() == Failed(2, "broken")


@pytest.mark.parametrize("turns", range(5))
def test_what_others_are_told_comes_though_a_server_has_just_been_cut(tmp_path: Path, turns: int):
    """By uvloop, which raises at who writes to a connection that is closed; so many turns of the loop after the cut."""

    async def cut_and_say() -> None:
        async with hosted(tmp_path, FakeEngine()) as stand:
            gone, stays = await stand.comes(), await stand.comes()
            gone.submit(1)
            await stand.until(1)
            stays.submit(1)
            await stand.until(2)
            mine, theirs = (job.key for job in stand.engine.jobs)
            stand.host._owners[mine][0].writer.transport.abort()
            for _ in range(turns):
                await asyncio.sleep(0)
            stand.host._pass_on([Spoke(mine, b"a", b"1"), Spoke(theirs, b"b", b"2")])
            assert await stays.hears() == Spoke(1, b"b", b"2")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(cut_and_say())


async def test_prompts_are_read_ahead(tmp_path: Path):
    async with hosted(tmp_path, FakeEngine()) as stand:
        server = await stand.comes()
        server.say(ReadAhead(PROMPT))
        while not stand.engine.read:
            await asyncio.sleep(0)
        assert stand.engine.read[0].tokens.tolist() == [0, 1, 2]


async def test_the_jobs_of_a_server_that_goes_away_are_aborted(tmp_path: Path):
    async with hosted(tmp_path, FakeEngine(capacity=3)) as stand:
        gone, stays = await stand.comes(), await stand.comes()
        gone.submit(1)
        gone.submit(2)
        await stand.until(2)
        stays.submit(1)
        await stand.until(3)
        gone.writer.transport.abort()
        await stand.until_aborted(2)
        assert set(stand.engine.aborted) == {job.key for job in stand.engine.jobs[:2]}
        stand.engine.say([Finished(stand.engine.jobs[2].key, "stop")])
        assert await stays.hears() == Finished(1, "stop")


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", pack(Finished(1, "stop"), 1)])
async def test_who_says_what_no_server_says_is_cut_alone(tmp_path: Path, data: bytes):
    async with hosted(tmp_path, FakeEngine()) as stand:
        stranger, server = await stand.comes(), await stand.comes()
        stranger.writer.write(data)
        assert await stranger.reader.read() == b""
        server.submit(1)
        await stand.until(1)


async def test_servers_hear_that_the_engine_is_down_and_when_it_speaks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine_host, "LOOK_S", 0.0)
    async with hosted(tmp_path, FakeEngine()) as stand:
        server = await stand.comes()
        stand.engine.failure = "vLLM's process has gone away"
        assert await server.hears() == EngineState("vLLM's process has gone away")
        server.submit(1)
        server.say(ReadAhead(PROMPT))
        assert await server.hears() == Failed(1, "vLLM's process has gone away")
        assert (stand.engine.jobs, stand.engine.read) == ([], [])
        stand.engine.failure = ""
        assert await server.hears() == EngineState("")


async def test_a_drain_takes_no_job_and_ends_when_none_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_host, "LOOK_S", 0.0)
    async with hosted(tmp_path, FakeEngine()) as stand:
        server = await stand.comes()
        server.submit(1)
        await stand.until(1)
        draining = asyncio.create_task(stand.host.drain())
        assert await server.hears() == EngineState("the engine is about to end")
        server.submit(2)
        assert await server.hears() == Failed(2, "the engine is about to end")
        assert not draining.done()
        stand.engine.say([Finished(stand.engine.jobs[0].key, "stop")])
        await draining
        assert await server.hears() == Finished(1, "stop")


async def test_what_is_on_its_way_when_the_engine_ends_still_comes(tmp_path: Path):
    async with hosted(tmp_path, FakeEngine()) as stand:
        server = await stand.comes()
        server.submit(1)
        await stand.until(1)
        sound = [Spoke(stand.engine.jobs[0].key, bytes(100_000), b"")] * 40  # more than the kernel takes at once
        stand.engine.say([*sound, Finished(stand.engine.jobs[0].key, "stop")])
        await stand.host.drain()
        stand.serving.cancel()
        assert [type(await server.hears()) for _ in range(41)] == [Spoke] * 40 + [Finished]


async def test_a_server_that_reads_nothing_is_cut_and_its_jobs_aborted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_host, "HELD_BYTES", 1 << 20)
    monkeypatch.setattr(engine_host, "HELD_JOB_BYTES", 1 << 19)
    async with hosted(tmp_path, FakeEngine()) as stand:
        deaf, server = await stand.comes(), await stand.comes()
        deaf.submit(1)
        await stand.until(1)
        deaf.reader._transport.pause_reading()  # type: ignore[attr-defined] - StreamReader has no word for it
        while not stand.engine.aborted:
            stand.engine.say([Spoke(stand.engine.jobs[0].key, bytes(1 << 18), b"")])
            await asyncio.sleep(0)
        server.submit(1)
        await stand.until(2)
        assert stand.engine.aborted == [stand.engine.jobs[0].key]


async def test_an_engine_that_does_not_start_says_why(tmp_path: Path):
    host = EngineHost(FakeEngine(broken="no GPU"), DESCRIPTION)
    with listening_at(tmp_path / "engine.sock") as listener:
        with pytest.raises(SpeechUnavailableError, match="does not start: no GPU"):
            await host.run(listener, lambda: None)
        await host.close()
