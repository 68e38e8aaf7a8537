from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.plain_generation import GREEDY
from tests.fakes.tiny_csm import TinyCsm
from tts_engine.backend import vllm_engine
from tts_engine.backend.csm_engine import Job
from tts_engine.backend.vllm_engine import READ_AHEAD_AT_ONCE, VllmEngine, VllmSettings
from tts_engine.errors import SpeechCapacityError
from tts_engine.model.mimi.encoder import MimiEncoder


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
    return VllmEngine(Path(), tiny.config, MimiEncoder(tiny.config.mimi), VllmSettings(streams=1))


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
