from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from bot.recognition.jobs import LineFullError, RecognitionLine
from bot.recognition.whisper import Request
from tests.fakes.recognition import FakeWhisper, heard

REQUEST = Request(np.zeros(16_000, np.float32), "az")


@pytest.fixture
def model() -> FakeWhisper:
    return FakeWhisper(heard("salam"))


@pytest.fixture
def line(model: FakeWhisper) -> Iterator[RecognitionLine]:
    made = RecognitionLine(model, workers=1, limit=2)
    yield made
    model.gate.set()
    made.close()


async def _begun(model: FakeWhisper) -> None:
    assert await asyncio.to_thread(model.started.acquire, timeout=5)


async def _emptied(line: RecognitionLine) -> None:
    async with asyncio.timeout(5):
        while line.length:
            await asyncio.sleep(0)


async def test_a_result_comes_with_its_waiting_time(line: RecognitionLine):
    done = await line.recognise(REQUEST)
    assert done.heard.text == "salam"
    assert done.queued_s >= 0
    await _emptied(line)


async def test_a_full_line_refuses_and_says_when_to_come_back(line: RecognitionLine, model: FakeWhisper):
    model.gate.clear()
    waiting = [asyncio.create_task(line.recognise(REQUEST)) for _ in range(2)]
    await _begun(model)
    with pytest.raises(LineFullError) as refusal:
        await line.recognise(REQUEST)
    assert refusal.value.retry_after_s == 1
    model.gate.set()
    assert [done.heard.text for done in await asyncio.gather(*waiting)] == ["salam", "salam"]
    await _emptied(line)
    assert (await line.recognise(REQUEST)).heard.text == "salam"


async def test_a_cancelled_job_that_waits_is_never_begun(line: RecognitionLine, model: FakeWhisper):
    model.gate.clear()
    first = asyncio.create_task(line.recognise(REQUEST))
    await _begun(model)
    second = asyncio.create_task(line.recognise(REQUEST))
    await asyncio.sleep(0)
    assert line.length == 2
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert line.length == 1
    model.gate.set()
    await first
    assert len(model.requests) == 1


async def test_a_cancelled_job_that_runs_is_stopped_half_way(line: RecognitionLine, model: FakeWhisper):
    model.gate.clear()
    job = asyncio.create_task(line.recognise(REQUEST))
    await _begun(model)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert await asyncio.to_thread(model.stopped.acquire, timeout=5)
    await _emptied(line)


async def test_a_failing_model_fails_only_its_job():
    model = FakeWhisper(RuntimeError("broken"))
    line = RecognitionLine(model, workers=1, limit=1)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            await line.recognise(REQUEST)
        await _emptied(line)
    line.close()
