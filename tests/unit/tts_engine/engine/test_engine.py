from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from prometheus_client import CollectorRegistry

from tests.fakes.clock import FakeClock
from tests.fakes.speech import FRAME_BYTES, FakeBackend
from tts_engine.engine.engine import EngineLimits, SpeechEngine
from tts_engine.engine.memory_store import MemoryConversationStore
from tts_engine.errors import (
    SpeechCapacityError,
    SpeechEngineError,
    SpeechError,
    SpeechRequestError,
    SpeechUnavailableError,
)
from tts_engine.metrics import SpeechMetrics
from tts_engine.protocol import ConversationContext, SpeechRequest


def engine_of(backend: FakeBackend, *, max_streams: int = 4, default_voice: str = "") -> SpeechEngine:
    clock = FakeClock()
    return SpeechEngine(
        backend,
        MemoryConversationStore(ttl_s=60, max_conversations=10, clock=clock),
        SpeechMetrics(CollectorRegistry()),
        limits=EngineLimits(max_streams=max_streams, retry_after_s=2.5),
        default_voice=default_voice,
        clock=clock,
    )


def metric(engine: SpeechEngine, name: str, **labels: str) -> float:
    return engine._metrics.registry.get_sample_value(name, labels) or 0.0


async def say(engine: SpeechEngine, request: SpeechRequest) -> bytes:
    async with engine.speak(request) as utterance:
        return b"".join([pcm async for pcm in utterance.audio()])


async def test_a_request_is_spoken_under_the_backend_s_own_names() -> None:
    backend = FakeBackend()
    engine = engine_of(backend, default_voice="az-low")

    drawn = {"seed": 3, "temperature": 0.5, "top_k": 9}
    audio = await say(engine, SpeechRequest(text="Salam", voice="alloy", language="az-AZ", speed=1.5, **drawn))

    assert len(audio) == 5 * FRAME_BYTES
    (asked,) = backend.asked
    assert (asked.voice, asked.language, asked.speed) == ("az-low", "az", 1.5)
    assert (asked.seed, asked.temperature, asked.top_k) == (3, 0.5, 9)
    assert metric(engine, "zeng_tts_utterances_total", outcome="spoken") == 1
    assert metric(engine, "zeng_tts_audio_seconds_total") == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("request_", "field", "remedy"),
    [
        (SpeechRequest(text="a", voice="zeynal"), "voice", "there are az, az-low"),
        (SpeechRequest(text="a", language="fr"), "language", "there is az, tr"),
        (SpeechRequest(text="a", speed=4.0), "speed", "between 0.5 and 2"),
    ],
)
async def test_what_the_backend_cannot_do_is_refused_by_name(request_, field, remedy) -> None:
    engine = engine_of(FakeBackend())

    with pytest.raises(SpeechRequestError, match=remedy) as caught:
        await say(engine, request_)

    assert caught.value.field == field
    assert metric(engine, "zeng_tts_rejected_total", reason="SpeechRequestError") == 1


@pytest.mark.parametrize(("streams", "max_streams"), [(2, 9), (9, 2)])
async def test_beyond_the_backend_s_or_our_own_capacity_a_request_is_refused_at_once(streams, max_streams) -> None:
    backend = FakeBackend(streams=streams, hold_at=0)
    engine = engine_of(backend, max_streams=max_streams)
    busy = [asyncio.create_task(say(engine, SpeechRequest(text="Salam"))) for _ in range(2)]
    await backend.held.wait()

    with pytest.raises(SpeechCapacityError) as caught:
        await say(engine, SpeechRequest(text="Salam"))

    assert caught.value.retry_after_s == 2.5
    assert metric(engine, "zeng_tts_streams_active") == 2
    backend.go_on.set()
    await asyncio.gather(*busy)
    assert await say(engine, SpeechRequest(text="Salam"))
    assert metric(engine, "zeng_tts_streams_active") == 0


async def test_a_cancelled_task_frees_its_place_and_aborts_the_backend() -> None:
    backend = FakeBackend(streams=1, hold_at=1)
    engine = engine_of(backend)
    task = asyncio.create_task(say(engine, SpeechRequest(text="Salam")))
    await backend.held.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert len(backend.aborted) == 1
    assert metric(engine, "zeng_tts_utterances_total", outcome="cancelled") == 1
    backend.hold_at = None
    assert await say(engine, SpeechRequest(text="Bəli"))


async def test_leaving_early_aborts_the_backend() -> None:
    backend = FakeBackend()
    engine = engine_of(backend)

    async with engine.speak(SpeechRequest(text="Salam")) as utterance, aclosing(utterance.audio()) as audio:
        await anext(audio)

    assert len(backend.aborted) == 1
    assert metric(engine, "zeng_tts_utterances_total", outcome="cancelled") == 1


async def test_a_failure_frees_the_place_and_is_not_remembered() -> None:
    backend = FakeBackend(streams=1, fail_at=2)
    engine = engine_of(backend)
    conversation = ConversationContext(id="c", turn_id="t1")

    with pytest.raises(SpeechEngineError):
        await say(engine, SpeechRequest(text="Salam", conversation=conversation))

    assert metric(engine, "zeng_tts_utterances_total", outcome="failed") == 1
    backend.fail_at = None
    await say(engine, SpeechRequest(text="Bəli", conversation=ConversationContext(id="c")))
    assert backend.asked[-1].context == ()


@pytest.mark.parametrize("fault", [SpeechCapacityError("all taken"), SpeechRequestError("too long", field="input")])
async def test_what_the_backend_itself_refuses_is_a_refusal_and_no_failure(fault: SpeechError) -> None:
    engine = engine_of(FakeBackend(fail_at=0, fault=fault))

    with pytest.raises(type(fault)):
        await say(engine, SpeechRequest(text="Salam"))

    assert metric(engine, "zeng_tts_rejected_total", reason=type(fault).__name__) == 1
    assert metric(engine, "zeng_tts_utterances_total", outcome="failed") == 0
    assert metric(engine, "zeng_tts_streams_active") == 0


async def test_a_backend_that_is_down_refuses_and_says_why() -> None:
    engine = engine_of(FakeBackend(down="loading weights"))

    with pytest.raises(SpeechUnavailableError, match="loading weights"):
        await say(engine, SpeechRequest(text="Salam"))
    assert not engine.health.ready


async def test_draining_lets_the_voice_finish_and_admits_nobody() -> None:
    backend = FakeBackend(hold_at=1)
    engine = engine_of(backend)
    speaking = asyncio.create_task(say(engine, SpeechRequest(text="Salam")))
    await backend.held.wait()

    engine.begin_drain()

    with pytest.raises(SpeechUnavailableError, match="draining"):
        await say(engine, SpeechRequest(text="Bəli"))
    assert not engine.health.ready
    drained = asyncio.create_task(engine.drained())
    await asyncio.sleep(0)
    assert not drained.done()
    backend.go_on.set()
    await drained
    assert len(await speaking) == 5 * FRAME_BYTES


async def test_a_default_voice_that_is_not_there_stops_the_start() -> None:
    engine = engine_of(FakeBackend(), default_voice="nobody")

    with pytest.raises(SpeechRequestError, match="nobody"):
        await engine.start()


async def test_it_starts_and_closes_its_backend() -> None:
    backend = FakeBackend()
    engine = engine_of(backend)

    await engine.start()
    assert backend.started
    await engine.close()

    assert backend.closed


async def test_context_is_counted_in_the_metrics() -> None:
    engine = engine_of(FakeBackend())
    for turn in ("t1", "t2"):
        await say(engine, SpeechRequest(text="Salam", conversation=ConversationContext(id="c", turn_id=turn)))

    assert metric(engine, "zeng_tts_context_seconds_sum") == pytest.approx(0.4)
    assert metric(engine, "zeng_tts_context_cached_frames_total") == 3
