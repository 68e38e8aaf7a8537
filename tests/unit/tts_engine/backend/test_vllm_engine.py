from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import AsyncGenerator, Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.fakes.plain_generation import GREEDY
from tests.fakes.tiny_csm import TinyCsm
from tts_engine.backend import vllm_engine
from tts_engine.backend.csm_engine import EngineEvent, Failed, Finished, Job, Recalled, Spoke
from tts_engine.backend.vllm_engine import READ_AHEAD_AT_ONCE, VllmEngine, VllmSettings
from tts_engine.backend.vllm_plugin.wire import ENDED, LOST, REFUSED, SPOKE, Rows
from tts_engine.errors import SpeechCapacityError


class NoProcess:
    """vLLM's process, which is not there: what it is asked waits until the test lets it."""

    def __init__(self, *_: object, **__: object) -> None:
        self.failure = ""
        self.asked: list[tuple[Any, tuple[object, ...]]] = []
        self.spawned: list[asyncio.Future[None]] = []

    def call_soon(self, function: Any, *arguments: object) -> None:
        self.asked.append((function, arguments))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        work.close()
        self.spawned.append(asyncio.get_running_loop().create_future())
        return self.spawned[-1]

    def catch_up(self) -> None:
        while self.asked:
            function, arguments = self.asked.pop(0)
            function(*arguments)


@pytest.fixture
def engine(tiny: TinyCsm, monkeypatch: pytest.MonkeyPatch) -> Iterator[VllmEngine]:
    monkeypatch.setattr(vllm_engine, "VllmProcess", NoProcess)
    return VllmEngine(Path(), tiny.config, VllmSettings(streams=1))


def job(tiny: TinyCsm, key: int) -> Job:
    return Job(key, tiny.builder.build("Salam.", speaker=0, reserve_frames=100), GREEDY, 5)


async def test_a_place_is_free_in_the_instant_in_which_its_stream_is_aborted(tiny: TinyCsm, engine: VllmEngine):
    engine.submit(job(tiny, 1))
    with pytest.raises(SpeechCapacityError):
        engine.submit(job(tiny, 2))
    engine._process.catch_up()
    [begun] = engine._process.spawned

    engine.abort(1)
    engine.submit(job(tiny, 2))

    assert not begun.cancelled()
    engine._process.catch_up()
    assert begun.cancelled()  # and vLLM hears of it
    assert len(engine._process.spawned) == 2


async def test_a_stream_aborted_before_vllm_had_it_is_never_begun(tiny: TinyCsm, engine: VllmEngine):
    engine.submit(job(tiny, 1))
    engine.abort(1)
    engine.abort(77)
    engine._process.catch_up()
    assert engine._process.spawned == []


async def test_no_more_prompts_are_read_ahead_at_once_than_may_be(tiny: TinyCsm, engine: VllmEngine):
    for _ in range(READ_AHEAD_AT_ONCE + 3):
        engine.read_ahead(job(tiny, 1).prompt)
    engine._process.catch_up()
    assert len(engine._process.spawned) == READ_AHEAD_AT_ONCE

    engine._process.spawned[0].set_result(None)
    await asyncio.sleep(0)
    engine.read_ahead(job(tiny, 1).prompt)
    engine._process.catch_up()
    assert len(engine._process.spawned) == READ_AHEAD_AT_ONCE + 1


def rows(engine: VllmEngine, *flags: int) -> Rows:
    """Rows of a step, the samples of each its number, counted from 1, its codes that negative."""
    form = engine._format
    made = np.zeros((len(flags), form.width), np.int16)
    for number, flag in enumerate(flags, 1):
        made[number - 1, : form.samples] = number
        made[number - 1, form.samples : form.samples + form.codebooks] = -number
        made[number - 1, -1] = flag
    return made


def said(engine: VllmEngine, key: int, number: int) -> Spoke:
    form = engine._format
    pcm, codes = np.full(form.samples, number, "<i2"), np.full(form.codebooks, -number, "<i2")
    return Spoke(key, pcm.tobytes(), codes.tobytes())


@pytest.fixture
def heard(engine: VllmEngine, monkeypatch: pytest.MonkeyPatch) -> list[EngineEvent]:
    events = list[EngineEvent]()
    monkeypatch.setattr(engine, "_sink", events.extend)
    return events


def test_of_a_step_what_is_wanted_soonest_is_passed_on_before_the_rest(tiny: TinyCsm, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vllm_engine, "VllmProcess", NoProcess)
    engine = VllmEngine(Path(), tiny.config, VllmSettings(streams=3))
    passed, clock = list[list[int]](), SimpleNamespace(monotonic=lambda: 100.0)
    monkeypatch.setattr(engine, "_sink", lambda events: passed.append([event.key for event in events]))
    monkeypatch.setattr(vllm_engine, "time", clock)
    for key in (1, 2):
        engine.submit(job(tiny, key))
    for _ in range(3):
        engine._take(np.array([1, 2]), rows(engine, SPOKE, SPOKE))
    engine.submit(job(tiny, 3))
    passed.clear()

    engine._take(np.array([1, 2, 3]), rows(engine, SPOKE, SPOKE | ENDED, SPOKE))

    assert passed == [[3], [1, 2, 2]]


def test_a_row_goes_to_its_stream_and_the_others_to_nobody(tiny: TinyCsm, engine: VllmEngine, heard: list[EngineEvent]):
    engine.submit(job(tiny, 7))
    engine._take(np.array([3, 7]), rows(engine, SPOKE, SPOKE))
    assert heard == [said(engine, 7, 2)]


@pytest.mark.parametrize(
    ("flags", "end"),
    [
        ([SPOKE] * 5, Finished(7, "length")),
        ([SPOKE, SPOKE | ENDED], Finished(7, "stop")),
        ([ENDED], Finished(7, "stop")),
        ([SPOKE, REFUSED], Failed(7, "the engine could not take the request; its log says why")),
        ([LOST], Failed(7, "the request was set aside for too long; the engine is overloaded")),
    ],
)
def test_a_stream_ends_by_its_flags_or_its_cap_with_all_that_it_said(
    tiny: TinyCsm, engine: VllmEngine, heard: list[EngineEvent], flags: list[int], end: EngineEvent
):
    engine.submit(job(tiny, 7))
    for flag in flags:
        engine._take(np.array([7]), rows(engine, flag))
    frames = sum(flag & SPOKE for flag in flags)
    assert b"".join(event.pcm for event in heard if isinstance(event, Spoke)) == said(engine, 7, 1).pcm * frames
    assert heard[-1] == end
    assert not engine._streams


def test_what_was_recalled_is_told_once_with_the_frames_that_follow(
    tiny: TinyCsm, engine: VllmEngine, heard: list[EngineEvent]
):
    engine.submit(job(tiny, 7))
    engine._streams[7].recalled = Recalled(7, 3)
    for _ in range(2):
        engine._take(np.array([7]), rows(engine, SPOKE))
    assert heard == [Recalled(7, 3), said(engine, 7, 1), said(engine, 7, 1)]


class HoldingProcess(NoProcess):
    """vLLM's front end as far as a request goes: it tells of the first frame, then nothing more."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.spawned.append(asyncio.create_task(work))
        return self.spawned[-1]

    async def generate(self, *_: object) -> AsyncGenerator[SimpleNamespace, None]:
        yield SimpleNamespace(num_cached_tokens=3)
        await asyncio.Event().wait()


async def test_a_stream_that_is_aborted_leaves_nothing_for_the_collector(
    tiny: TinyCsm, monkeypatch: pytest.MonkeyPatch
):
    kind = SimpleNamespace(RequestOutputKind=SimpleNamespace(DELTA=0), SamplingParams=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", kind)
    monkeypatch.setattr(vllm_engine, "VllmProcess", HoldingProcess)
    engine = VllmEngine(Path(), tiny.config, VllmSettings(streams=1))
    gc.disable()
    try:
        engine.submit(begun := job(tiny, 1))
        gone = weakref.ref(begun.prompt.passages[-1])
        engine._process.catch_up()
        del begun
        while engine._streams[1].recalled is None:
            await asyncio.sleep(0)

        engine.abort(1)
        engine._process.catch_up()
        await asyncio.wait([engine._process.spawned.pop()])
        assert gone() is None
    finally:
        gc.enable()
