"""The real espeak-ng, in its processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from tts_engine.backend.espeak import EspeakBackend
from tts_engine.backend.port import AudioChunk, Truncated, VoiceRequest
from tts_engine.errors import SpeechEngineError, SpeechUnavailableError
from tts_engine.settings import EspeakSettings

SALAM = "Salam, mən səsli köməkçiyəm. Sizə necə kömək edə bilərəm?"
REQUEST = VoiceRequest("r1", SALAM, "az", "az", 1.0, None, None, ())


@asynccontextmanager
async def espeak(**settings):
    backend = EspeakBackend(EspeakSettings(**{"processes": 1, **settings}))
    await backend.start()
    try:
        yield backend
    finally:
        await backend.close()


async def spoken(backend: EspeakBackend, request: VoiceRequest) -> np.ndarray:
    chunks = [item.pcm async for item in backend.generate(request) if isinstance(item, AudioChunk)]
    return np.frombuffer(b"".join(chunks), "<i2").astype(np.int32)


async def test_azerbaijani_is_spoken_at_24_khz_and_begins_at_once() -> None:
    async with espeak() as backend:
        audio = await spoken(backend, REQUEST)

    assert 3.5 < len(audio) / 24_000 < 6.5
    assert np.flatnonzero(np.abs(audio) > 200)[0] <= 24 * 31  # 30 ms and the filter's edge
    assert 5_000 < np.abs(audio).max() <= 32_767


async def test_audio_comes_while_the_rest_is_still_made() -> None:
    async with espeak() as backend, aclosing(backend.generate(replace(REQUEST, text=SALAM * 4))) as items:
        first = await anext(items)
        while not first.pcm:
            first = await anext(items)

        assert len(first.pcm) <= 24_000 * 2 // 5


async def test_speed_shortens_the_speech() -> None:
    async with espeak() as backend:
        slow = await spoken(backend, REQUEST)
        fast = await spoken(backend, replace(REQUEST, speed=2.0))

    assert len(fast) < 0.65 * len(slow)


async def test_a_long_text_is_cut_without_losing_a_word() -> None:
    async with espeak() as backend:
        one = await spoken(backend, REQUEST)
        ten = await spoken(backend, replace(REQUEST, text=" ".join([SALAM] * 10)))

    assert len(ten) == pytest.approx(10 * (len(one) + 0.39 * 24_000), rel=0.05)


async def test_what_cannot_be_heard_is_silent_and_ends() -> None:
    async with espeak() as backend:
        assert len(await spoken(backend, replace(REQUEST, text="..."))) == 0


async def test_max_frames_bounds_the_audio() -> None:
    async with espeak() as backend:
        assert len(await spoken(backend, replace(REQUEST, max_frames=5))) == 5 * 1920
        items = [item async for item in backend.generate(replace(REQUEST, max_frames=5))]
        assert items[-1] == Truncated()


async def test_streams_at_once_all_say_the_same() -> None:
    async with espeak(processes=2) as backend:
        alone = await spoken(backend, REQUEST)
        together = await asyncio.gather(*(spoken(backend, REQUEST) for _ in range(8)))

    # What was said before changes espeak-ng's timing by a few milliseconds.
    assert [len(audio) for audio in together] == [pytest.approx(len(alone), rel=0.02)] * 8


async def test_a_slow_listener_holds_nobody_up() -> None:
    async with espeak() as backend, aclosing(backend.generate(replace(REQUEST, text=SALAM * 20))) as slow:
        await anext(slow)

        audio = await spoken(backend, REQUEST)

        assert len(audio) > 24_000


async def test_a_cancelled_request_leaves_the_process_to_the_next() -> None:
    async with espeak() as backend:
        (pid,) = backend.process_ids()
        async with aclosing(backend.generate(replace(REQUEST, text=SALAM * 20))) as items:
            await anext(items)

        assert len(await spoken(backend, REQUEST)) > 24_000
        assert backend.process_ids() == [pid]


async def test_a_process_that_dies_in_the_middle_fails_its_request_and_is_started_again() -> None:
    async with espeak() as backend:
        (pid,) = backend.process_ids()
        items = backend.generate(replace(REQUEST, text=SALAM * 60))
        await anext(items)
        os.kill(pid, signal.SIGKILL)

        with pytest.raises(SpeechEngineError, match="espeak-ng process failed"):
            async for _ in items:
                pass

        assert len(await spoken(backend, REQUEST)) > 24_000
        assert backend.process_ids() != [pid]


async def test_a_process_that_died_unnoticed_costs_nobody_a_request() -> None:
    async with espeak() as backend:
        (pid,) = backend.process_ids()
        os.kill(pid, signal.SIGKILL)

        assert len(await spoken(backend, REQUEST)) > 24_000


async def test_a_process_that_hangs_is_replaced() -> None:
    async with espeak(job_timeout_s=1.0) as backend:
        (pid,) = backend.process_ids()
        os.kill(pid, signal.SIGSTOP)

        assert len(await spoken(backend, REQUEST)) > 24_000
        assert backend.process_ids() != [pid]


async def test_a_voice_that_espeak_does_not_have_is_an_error_and_the_process_lives() -> None:
    async with espeak() as backend:
        (pid,) = backend.process_ids()

        with pytest.raises(SpeechEngineError, match="no voice 'nobody'"):
            await spoken(backend, replace(REQUEST, voice="nobody"))

        assert backend.process_ids() == [pid]


async def test_every_voice_that_is_offered_exists() -> None:
    async with espeak() as backend:
        for voice in backend.description.voices:
            assert len(await spoken(backend, replace(REQUEST, text="Bəli", voice=voice))) > 4_800


async def test_closing_ends_the_processes_and_whoever_waits() -> None:
    async with espeak() as backend:
        (pid,) = backend.process_ids()
        os.kill(pid, signal.SIGSTOP)
        waiting = asyncio.create_task(spoken(backend, REQUEST))
        queued = asyncio.create_task(spoken(backend, REQUEST))
        await asyncio.sleep(0)

    for task in (waiting, queued):
        with pytest.raises(SpeechUnavailableError):
            await task
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not backend.health().ready


async def test_without_espeak_the_start_says_what_to_install(monkeypatch, tmp_path) -> None:
    (tmp_path / "espeakng_loader.py").write_text("raise ImportError('no espeak-ng here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(SpeechUnavailableError, match=r"zeng\[espeak\]"):
        async with espeak():
            pass


async def test_espeak_is_loaded_in_its_own_process_only() -> None:
    async with espeak() as backend:
        await spoken(backend, REQUEST)

    assert "espeakng_loader" not in sys.modules
