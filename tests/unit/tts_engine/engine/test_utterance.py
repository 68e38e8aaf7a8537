from __future__ import annotations

from contextlib import aclosing

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.speech import FRAME_BYTES, FakeBackend, codes_of, tone
from tts_engine.backend.port import SpokenTurn, VoiceRequest
from tts_engine.engine.utterance import Utterance, UtteranceLimits
from tts_engine.errors import SpeechEngineError, SpeechUnavailableError
from tts_engine.protocol import ContextUsed, SpeechRequest

TURN = SpokenTurn("t0", "user", "Bəli", 1.6)


def utterance_of(
    backend: FakeBackend,
    text: str = "abc",
    *,
    limits: UtteranceLimits | None = None,
    clock: FakeClock | None = None,
    context: tuple[SpokenTurn, ...] = (),
) -> Utterance:
    request = VoiceRequest("r1", text, "az", "az", 1.0, None, None, context)
    return Utterance(
        SpeechRequest(text=text), "t1", backend.generate(request), limits or UtteranceLimits(), clock or FakeClock()
    )


async def spoken(utterance: Utterance) -> bytes:
    return b"".join([pcm async for pcm in utterance.audio()])


async def test_it_is_the_audio_of_the_backend_and_all_of_its_codes() -> None:
    utterance = utterance_of(FakeBackend())

    assert await spoken(utterance) == b"".join(tone("abc", n) for n in range(3))
    assert utterance.codes == b"".join(codes_of(b"abc", n) for n in range(3))
    assert utterance.duration_s == pytest.approx(0.24)
    assert utterance.complete


async def test_it_tells_that_its_cap_stopped_it() -> None:
    for truncates in (False, True):
        utterance = utterance_of(FakeBackend(truncates=truncates))
        await spoken(utterance)

        assert (utterance.complete, utterance.truncated) == (True, truncates)


async def test_it_tells_what_of_the_context_was_heard() -> None:
    utterance = utterance_of(FakeBackend(), context=(TURN,))

    await spoken(utterance)

    assert utterance.context_used == ContextUsed(turns=1, seconds=1.6, cached_frames=3)


async def test_first_audio_is_counted_from_the_admission() -> None:
    clock = FakeClock()
    utterance = utterance_of(FakeBackend(), clock=clock)
    clock.pass_(0.25)

    await spoken(utterance)

    assert utterance.first_audio_s == 0.25


async def test_closing_it_aborts_the_backend() -> None:
    backend = FakeBackend()
    utterance = utterance_of(backend)

    async with aclosing(utterance.audio()) as audio:
        await anext(audio)
    await utterance.close()
    await utterance.close()

    assert backend.aborted == ["r1"]
    assert not utterance.complete
    assert utterance.made_bytes == FRAME_BYTES


async def test_a_voice_that_hangs_before_its_first_audio_is_given_up() -> None:
    backend = FakeBackend(hold_at=0)
    utterance = utterance_of(backend, limits=UtteranceLimits(first_audio_timeout_s=0.01))

    with pytest.raises(SpeechEngineError, match=r"nothing for 0\.01 s"):
        await spoken(utterance)
    assert backend.aborted == ["r1"]


async def test_a_voice_that_hangs_in_the_middle_is_given_up_sooner() -> None:
    backend = FakeBackend(hold_at=1)
    utterance = utterance_of(backend, limits=UtteranceLimits(chunk_timeout_s=0.01))

    with pytest.raises(SpeechEngineError, match=r"nothing for 0\.01 s"):
        await spoken(utterance)


async def test_a_voice_that_does_not_end_is_cut() -> None:
    backend = FakeBackend()
    utterance = utterance_of(backend, "a" * 20, limits=UtteranceLimits(max_audio_s=1.0))

    with pytest.raises(SpeechEngineError, match="does not end"):
        await spoken(utterance)
    await utterance.close()
    assert backend.aborted == ["r1"]


async def test_a_bug_of_the_backend_is_an_engine_error() -> None:
    with pytest.raises(SpeechEngineError, match="cuda died"):
        await spoken(utterance_of(FakeBackend(fail_at=1)))


async def test_a_speech_error_of_the_backend_passes_as_it_is() -> None:
    with pytest.raises(SpeechUnavailableError, match="restarting"):
        await spoken(utterance_of(FakeBackend(fail_at=0, fault=SpeechUnavailableError("restarting"))))
