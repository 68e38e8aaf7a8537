from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

import numpy as np
import pytest

from tests.fakes.speech_engine import FakeEngine
from tests.fakes.tiny_csm import TinyCsm
from tts_engine.backend.csm import ENCODED_AT_ONCE, HELD_BYTES, CsmBackend
from tts_engine.backend.csm_engine import Failed, Finished, Recalled, Refused, Spoke
from tts_engine.backend.head_start import SPARE_S
from tts_engine.backend.port import AudioChunk, ContextHeard, PartBegins, SpokenTurn, Truncated, VoiceItem, VoiceRequest
from tts_engine.errors import SpeechCapacityError, SpeechEngineError, SpeechRequestError, SpeechUnavailableError
from tts_engine.model.prompt import AUDIO, Codes, ContextTurn, PromptBuilder
from tts_engine.model.sampling import Sampling
from tts_engine.model.voice import Samples, Voice

SAMPLE = ContextTurn(1, "nümunə", np.full((3, 8), 7, np.int16))
VOICES = {"default": Voice("default"), "sampled": Voice("sampled", 1, (SAMPLE,))}
REQUEST = VoiceRequest("r1", "Salam.", "default", "az", 1.0, 5, None, ())


async def backend_of(
    tiny: TinyCsm,
    engine: FakeEngine,
    builder: PromptBuilder | None = None,
    *,
    piece_chars: int | None = None,
    hears_conversation: bool = True,
    clock: Callable[[], float] = lambda: 100.0,
) -> CsmBackend:
    backend = CsmBackend(
        engine,
        engine.encode,
        builder or tiny.builder,
        tiny.config,
        name="torch",
        model="tiny",
        voices=VOICES,
        sampling=Sampling(top_k=9),
        piece_chars=piece_chars,
        hears_conversation=hears_conversation,
        clock=clock,
    )
    await backend.start()
    return backend


def turn(name: str, frames: int, *, role: str = "user", text: str = "a") -> SpokenTurn:
    codes = np.full((frames, 8), 3, "<i2").tobytes()
    return SpokenTurn(name, role, text, frames * 0.08, codes)  # type: ignore[arg-type] - role is one of the two


async def begun(stream: AsyncGenerator[VoiceItem, None]) -> tuple[ContextHeard, asyncio.Task[VoiceItem]]:
    """The first item, and the next one being waited for."""
    heard = await anext(stream)
    assert isinstance(heard, ContextHeard)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    return heard, waiting


async def test_events_become_chunks_and_the_stream_ends(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    stream = backend.generate(REQUEST)
    _, waiting = await begun(stream)
    key = engine.jobs[0].key
    engine.say([Spoke(key, b"ab", b"c" * 16), Spoke(999, b"no", b""), Spoke(key, b"de", b"f" * 16)])
    engine.say([Finished(key, "stop")])
    assert await waiting == AudioChunk(b"ab", b"c" * 16)
    assert [item async for item in stream] == [AudioChunk(b"de", b"f" * 16)]
    assert engine.aborted == []


FRAME = b"ab" * 1920


async def late_by(backend: CsmBackend, engine: FakeEngine, now: list[float], late_s: float) -> None:
    """Have an utterance said whose second frame comes so late."""
    stream = backend.generate(REQUEST)
    _, waiting = await begun(stream)
    key = engine.jobs[-1].key
    engine.say([Spoke(key, FRAME, b"")])
    await waiting
    now[0] += 0.08 + late_s
    engine.say([Spoke(key, FRAME, b""), Finished(key, "stop")])
    assert len([item async for item in stream]) == 1


@pytest.mark.parametrize(("late_s", "held"), [(-0.05, False), (0.02, True)])
async def test_a_first_sound_is_held_where_second_ones_came_late(
    tiny: TinyCsm, monkeypatch: pytest.MonkeyPatch, late_s: float, held: bool
):
    now, slept, sleep = [100.0], list[float](), asyncio.sleep

    async def sleeping(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    backend = await backend_of(tiny, engine := FakeEngine(), clock=lambda: now[0])
    await late_by(backend, engine, now, late_s)
    stream = backend.generate(REQUEST)
    _, waiting = await begun(stream)
    monkeypatch.setattr("tts_engine.backend.csm.asyncio.sleep", sleeping)
    engine.say([Spoke(key := engine.jobs[-1].key, FRAME, b""), Spoke(key, FRAME, b""), Finished(key, "stop")])

    assert isinstance(await waiting, AudioChunk)
    assert len([item async for item in stream]) == 1
    assert slept == ([pytest.approx(late_s + SPARE_S)] if held else [])


async def test_what_goes_on_after_a_pause_of_its_own_is_not_held(tiny: TinyCsm, monkeypatch: pytest.MonkeyPatch):
    now, slept, sleep = [100.0], list[float](), asyncio.sleep

    async def sleeping(seconds: float) -> None:
        slept.append(seconds)

    backend = await backend_of(tiny, engine := FakeEngine(capacity=9), piece_chars=8, clock=lambda: now[0])
    await late_by(backend, engine, now, 0.02)
    stream = backend.generate(replace(REQUEST, text="Salam. Sabah."))
    _, waiting = await begun(stream)
    engine.say([Spoke(key := engine.jobs[-1].key, FRAME, b""), Finished(key, "stop")])
    await waiting
    monkeypatch.setattr("tts_engine.backend.csm.asyncio.sleep", sleeping)
    assert isinstance(await anext(stream), PartBegins)
    last = asyncio.ensure_future(anext(stream))
    await sleep(0)
    engine.say([Spoke(engine.jobs[-1].key, FRAME, b"")])
    assert isinstance(await last, AudioChunk)
    assert slept == []
    await stream.aclose()


async def test_the_job_has_the_seed_the_cap_and_the_settings(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine(capacity=9))
    for request in (
        REQUEST,
        replace(REQUEST, max_frames=4),
        replace(REQUEST, seed=None),
        replace(REQUEST, seed=None),
    ):
        stream = backend.generate(request)
        _, waiting = await begun(stream)
        waiting.cancel()
    capped, short, *unseeded = engine.jobs
    assert capped.sampling == Sampling(top_k=9, seed=5)
    assert (capped.max_frames, short.max_frames) == (round(12.5 * (2 + 6 / 5)), 4)
    assert len({job.sampling.seed for job in unseeded}) == 2
    assert len({job.key for job in engine.jobs}) == 4


async def test_a_request_may_have_its_own_temperature_and_top_k(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    for request in (replace(REQUEST, temperature=0.0), replace(REQUEST, top_k=3)):
        _, waiting = await begun(backend.generate(request))
        waiting.cancel()
    cold, narrow = (job.sampling for job in engine.jobs)
    assert cold == Sampling(temperature=0.0, depth_temperature=0.0, top_k=9, seed=5)
    assert narrow == Sampling(top_k=3, seed=5)


async def test_a_stream_that_reaches_its_cap_says_that_it_was_stopped(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    stream = backend.generate(REQUEST)
    _, waiting = await begun(stream)
    key = engine.jobs[0].key
    engine.say([Spoke(key, b"ab", b"c" * 16), Finished(key, "length")])
    assert await waiting == AudioChunk(b"ab", b"c" * 16)
    assert [item async for item in stream] == [Truncated()]
    assert engine.aborted == []


class ThreeLettersAToken:
    bos_id = eos_id = 0

    def encode(self, text: str) -> list[int]:
        return [1] * (len(text) // 3)


async def test_turns_make_way_for_a_long_text_and_one_that_has_no_room_to_be_spoken_is_refused(tiny: TinyCsm):
    builder = PromptBuilder(ThreeLettersAToken(), num_codebooks=8, codebook_size=32, positions=2048)
    backend = await backend_of(tiny, engine := FakeEngine(), builder)
    long = replace(REQUEST, text="a" * 1400, context=(turn("t1", 300), turn("t2", 200)))
    heard, waiting = await begun(backend.generate(long))
    waiting.cancel()
    assert heard.turns == 1
    assert engine.jobs[0].max_frames >= 1400 / 14 * 12.5
    too_long = replace(long, text="a" * 2000)  # 1,786 frames at the usual pace, and 667 tokens
    with pytest.raises(SpeechRequestError, match="split the text") as caught:
        await anext(backend.generate(too_long))
    assert caught.value.field == "text"
    assert await anext(backend.generate(replace(too_long, max_frames=500)))  # who asks for less gets it


@pytest.mark.parametrize("voice", ["default", "sampled"])
async def test_how_long_a_sentence_is_does_not_move_the_cut_of_a_full_context(tiny: TinyCsm, voice: str):
    """Neither against another sentence nor against what was read ahead: one cut elsewhere is read from there on."""
    backend = await backend_of(tiny, engine := FakeEngine(capacity=9))
    context = tuple(turn(f"t{n}", 60) for n in range(40))
    backend.read_ahead(voice, context)
    for letters in (5, 60, 120, 195):
        asked = replace(REQUEST, text="a" * letters, voice=voice, context=context)
        _, waiting = await begun(backend.generate(asked))
        waiting.cancel()
    cuts = {prompt.dropped for prompt in (*engine.read, *(job.prompt for job in engine.jobs))}
    assert len(cuts) == 1
    assert cuts.pop() > 0


async def test_context_is_heard_with_its_speakers_after_the_sample_of_the_voice(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    context = (turn("t1", 2), turn("t2", 3, role="assistant"), SpokenTurn("t3", "user", "b", 1.0))
    heard, waiting = await begun(backend.generate(replace(REQUEST, voice="sampled", context=context)))
    waiting.cancel()
    assert heard == ContextHeard(turns=3, seconds=pytest.approx(1.4))
    text = "".join(chr(token) if token >= 0 else "~" for token in engine.jobs[0].prompt.tokens)
    digits = [letter for letter in tiny_text(tiny, text) if letter in "01"]
    assert digits == ["1", "0", "1", "0", "1"]
    assert (engine.jobs[0].prompt.tokens == AUDIO).sum() == (3 + 1) + (2 + 1) + (3 + 1)


def tiny_text(tiny: TinyCsm, tokens: str) -> str:
    """Letters of token ids (a byte each, in the order of the byte-level alphabet); the rest as dots."""
    from tokenizers import pre_tokenizers  # noqa: PLC0415 - only to read the prompt back

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return "".join(alphabet[ord(token)] if ord(token) < 256 and token != "~" else "." for token in tokens)


async def test_a_turn_of_two_requests_is_heard_as_it_was_spoken(tiny: TinyCsm):
    """Its second request heard the first as a turn, and so does every later one: what was read is not read again."""
    backend = await backend_of(tiny, engine := FakeEngine(capacity=9))
    first, second = (turn("b1", frames, role="assistant", text=text) for frames, text in ((4, "Bir."), (3, "Iki.")))
    codes = first.codes + second.codes
    both = SpokenTurn("b1", "assistant", "Bir. Iki.", 0.56, codes, joints=((5, len(first.codes)),))
    for text, context in (("Iki.", (first,)), ("Son.", (both,))):
        heard, waiting = await begun(backend.generate(replace(REQUEST, text=text, context=context)))
        waiting.cancel()
    assert heard == ContextHeard(turns=1, seconds=pytest.approx(0.56))
    spoken, later = (job.prompt for job in engine.jobs)
    assert np.array_equal(later.tokens[: len(spoken)], spoken.tokens)
    assert np.array_equal(later.codes[: len(spoken)], spoken.codes)
    assert later.codes[len(spoken) : len(spoken) + 3].astype("<i2").tobytes() == second.codes


async def test_turns_that_do_not_fit_are_not_counted_as_heard(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    context = tuple(turn(f"t{n}", 300) for n in range(12))
    heard, waiting = await begun(backend.generate(replace(REQUEST, context=context)))
    waiting.cancel()
    assert heard.turns == 12 - engine.jobs[0].prompt.dropped
    assert 2 <= heard.turns <= 5
    assert heard.seconds == pytest.approx(heard.turns * 24)


async def test_closing_the_stream_aborts_the_job(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    async with aclosing(backend.generate(REQUEST)) as stream:
        _, waiting = await begun(stream)
        engine.say([Spoke(engine.jobs[0].key, b"ab", b"")])
        await waiting
    assert engine.aborted == [engine.jobs[0].key]


async def test_cancelling_the_task_that_waits_aborts_the_job(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    _, waiting = await begun(backend.generate(REQUEST))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert engine.aborted == [engine.jobs[0].key]


async def test_an_end_at_the_very_first_frame_is_drawn_anew_once(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine(capacity=9))
    stream = backend.generate(REQUEST)
    _, waiting = await begun(stream)
    engine.say([Finished(engine.jobs[0].key, "stop")])
    while len(engine.jobs) < 2:
        await asyncio.sleep(0)
    assert [job.sampling.seed for job in engine.jobs] == [5, 6]
    engine.say([Finished(engine.jobs[1].key, "stop")])
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert len(engine.jobs) == 2


async def test_a_listener_that_stalls_fails_alone_and_frees_its_place(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    stream, other = backend.generate(REQUEST), backend.generate(REQUEST)
    _, waiting = await begun(stream)
    _, other_waiting = await begun(other)
    slow, fine = (job.key for job in engine.jobs)
    engine.say([Spoke(slow, b"x" * HELD_BYTES, b""), Spoke(slow, b"yz", b""), Spoke(slow, b"yz", b"")])
    with pytest.raises(SpeechEngineError, match="read faster"):
        await waiting
    assert engine.aborted == [slow]
    engine.say([Spoke(fine, b"ab", b"")])
    assert await other_waiting == AudioChunk(b"ab", b"")


async def test_a_failure_of_the_engine_is_told(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    _, waiting = await begun(backend.generate(REQUEST))
    engine.say([Failed(engine.jobs[0].key, "out of memory")])
    with pytest.raises(SpeechEngineError, match="out of memory"):
        await waiting
    assert engine.aborted == []


async def test_no_free_place_is_told(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine(capacity=0))
    stream = backend.generate(REQUEST)
    await anext(stream)
    with pytest.raises(SpeechCapacityError):
        await anext(stream)
    assert engine.aborted == []  # it never had the job


async def test_an_engine_that_is_down_is_told(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    await backend.close()
    assert not backend.health().ready
    stream = backend.generate(REQUEST)
    await anext(stream)
    with pytest.raises(SpeechUnavailableError, match="closed"):
        await anext(stream)
    assert engine.jobs == []


async def test_an_engine_that_does_not_start_is_told(tiny: TinyCsm):
    with pytest.raises(SpeechUnavailableError, match="no weights"):
        await backend_of(tiny, FakeEngine(broken="no weights"))


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"text": "a" * 3000}, "text"), ({"context": (SpokenTurn("t", "user", "a", 1.0, b"123"),)}, "context")],
)
async def test_a_request_that_cannot_be_a_prompt_names_the_field(tiny: TinyCsm, wrong: dict[str, object], field: str):
    backend = await backend_of(tiny, FakeEngine())
    with pytest.raises(SpeechRequestError) as caught:
        await anext(backend.generate(replace(REQUEST, **wrong)))
    assert caught.value.field == field


@pytest.mark.parametrize(("rate", "frames"), [(24_000, 13), (16_000, 13), (8_000, 13)])
async def test_sound_of_any_rate_is_encoded_at_24_khz(tiny: TinyCsm, rate: int, frames: int):
    backend = await backend_of(tiny, engine := FakeEngine())
    pcm = (np.sin(np.arange(rate) / rate * 2 * np.pi * 200) * 8000).astype("<i2").tobytes()
    assert len(await backend.encode(pcm, rate)) == frames * 16
    [samples] = engine.encoded
    assert (samples.dtype, len(samples)) == (np.float32, 24_000)
    assert np.abs(samples).max() == pytest.approx(8000 / 32768, rel=0.02)


async def test_no_more_turns_are_encoded_at_once_than_may_be_and_no_crowd_waits(tiny: TinyCsm):
    engine, go_on, under_way = FakeEngine(capacity=3), threading.Event(), []

    def encode(samples: Samples) -> Codes:
        under_way.append(len(samples))
        assert go_on.wait(30)
        return np.ones((1, 8), np.int16)

    engine.encode = encode
    backend = await backend_of(tiny, engine)
    turns = [asyncio.create_task(backend.encode(b"ab", 24_000)) for _ in range(3)]
    while len(under_way) < ENCODED_AT_ONCE:
        await asyncio.sleep(0)
    with pytest.raises(SpeechCapacityError, match="wait to be encoded"):
        await backend.encode(b"ab", 24_000)
    assert len(under_way) == ENCODED_AT_ONCE
    go_on.set()
    assert len(await asyncio.gather(*turns, backend.encode(b"", 24_000))) == 4
    assert await backend.encode(b"ab", 24_000)


async def test_an_engine_that_has_no_place_after_all_is_full_and_not_broken(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    _, waiting = await begun(backend.generate(REQUEST))
    engine.say([Refused(engine.jobs[0].key, "all 2 streams are taken")])
    with pytest.raises(SpeechCapacityError, match="all 2 streams"):
        await waiting
    assert engine.aborted == []


async def test_no_sound_has_no_codes(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    assert await backend.encode(b"", 16_000) == b""
    assert engine.encoded == []


async def test_the_description_is_of_the_checkpoint(tiny: TinyCsm):
    backend = await backend_of(tiny, FakeEngine(capacity=7))
    description = backend.description
    assert (description.name, description.model, description.voices) == ("torch", "tiny", ("default", "sampled"))
    assert description.codec is not None
    assert (description.codec.codebooks, description.codec.frame_hz) == (8, 12.5)
    assert backend.capacity() == 7
    assert backend.health().ready


async def test_a_context_is_read_ahead_with_the_beginning_that_its_request_will_have(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    context = (turn("1", 4), turn("2", 3, role="assistant"))
    backend.read_ahead("sampled", context)
    stream = backend.generate(replace(REQUEST, voice="sampled", context=context))
    _, waiting = await begun(stream)
    waiting.cancel()
    [ahead], [job] = engine.read, engine.jobs
    shared = len(ahead) - 5  # less its own text and the marks around it
    assert shared > 20
    assert np.array_equal(ahead.codes[:shared], job.prompt.codes[:shared])
    assert np.array_equal(ahead.tokens[:shared], job.prompt.tokens[:shared])
    engine.failure = "gone"
    backend.read_ahead("sampled", context)
    assert len(engine.read) == 1


async def test_what_the_engine_did_not_read_again_is_told_whenever_it_comes(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    stream = backend.generate(replace(REQUEST, context=(turn("1", 4),)))
    heard, waiting = await begun(stream)
    key = engine.jobs[0].key
    engine.say([Spoke(key, b"ab", b"c" * 16), Recalled(key, 3), Finished(key, "stop")])
    assert await waiting == AudioChunk(b"ab", b"c" * 16)
    assert [item async for item in stream] == [replace(heard, cached_frames=3)]


async def test_a_stream_that_is_left_after_its_news_of_the_cache_is_aborted(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    stream = backend.generate(REQUEST)
    _, waiting = await begun(stream)
    engine.say([Recalled(engine.jobs[0].key, 0)])
    assert isinstance(await waiting, ContextHeard)
    await stream.aclose()
    assert engine.aborted == [engine.jobs[0].key]


LONG = replace(REQUEST, text="Salam, mən buradayam. Buyurun, sizi eşidirəm.")


async def said(backend: CsmBackend, engine: FakeEngine, request: VoiceRequest, frames: int) -> list[VoiceItem]:
    """Have every piece be as many frames long, and hear all of it."""
    items: list[VoiceItem] = []

    async def hear() -> None:
        items.extend([item async for item in backend.generate(request)])

    hearing, answered = asyncio.ensure_future(hear()), 0
    while not hearing.done():
        await asyncio.sleep(0)
        for job in engine.jobs[answered:]:
            answered += 1
            some = min(frames, job.max_frames)
            events = [Spoke(job.key, b"ab", bytes([answered, 0] * 8)) for _ in range(some)]
            engine.say([*events, Finished(job.key, "length" if some == job.max_frames else "stop")])
    await hearing
    return items


async def test_a_long_text_is_said_in_pieces_of_which_each_hears_those_before_it(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine(capacity=20), piece_chars=25)
    items = await said(backend, engine, replace(LONG, context=(turn("t1", 2),)), 3)
    assert len(engine.jobs) == 2
    first, second = (job.prompt for job in engine.jobs)
    assert int((first.tokens == AUDIO).sum()) == 2 + 1  # and the frame that ends a turn
    heard = second.codes[second.tokens == AUDIO]
    assert heard[3:].tolist() == [*([[1] * 8] * 3), [0] * 8]
    chunks = [item for item in items if isinstance(item, AudioChunk)]
    assert b"".join(chunk.codes for chunk in chunks) == bytes([1, 0] * 24 + [2, 0] * 24)
    assert [item for item in items if isinstance(item, ContextHeard)] == [ContextHeard(1, 0.16)]
    assert [item for item in items if isinstance(item, PartBegins)] == [PartBegins(LONG.text.index("Buyurun"))]
    assert items.index(PartBegins(LONG.text.index("Buyurun"))) == 4  # before anything of it


async def test_pieces_are_drawn_apart_and_the_same_again_for_the_same_seed(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine(capacity=20), piece_chars=25)
    await said(backend, engine, LONG, 3)
    await said(backend, engine, LONG, 3)
    await said(backend, engine, replace(LONG, seed=(1 << 63) - 1), 3)
    seeds = [job.sampling.seed for job in engine.jobs]
    assert seeds == [5, 7, 5, 7, (1 << 63) - 1, 1]


async def test_a_cap_is_of_all_pieces_and_nothing_is_said_beyond_it(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine(capacity=20), piece_chars=25)
    items = await said(backend, engine, replace(LONG, max_frames=4), 3)
    assert [job.max_frames for job in engine.jobs] == [4, 1]
    assert items[-1] == Truncated()
    await said(backend, engine, replace(LONG, max_frames=3), 3)
    assert len(engine.jobs) == 3


async def test_closing_between_pieces_begins_no_other(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine(capacity=20), piece_chars=25)
    stream = backend.generate(LONG)
    _, waiting = await begun(stream)
    engine.say([Spoke(engine.jobs[0].key, b"ab", b"c" * 16), Finished(engine.jobs[0].key, "stop")])
    await waiting
    await stream.aclose()
    assert len(engine.jobs) == 1


async def test_a_text_is_left_whole_where_nothing_is_set(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine())
    await said(backend, engine, LONG, 3)
    assert len(engine.jobs) == 1


async def test_a_voice_that_does_not_hear_conversations_hears_its_own_pieces_and_gives_no_codes(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine(capacity=20), piece_chars=25, hears_conversation=False)
    assert backend.description.codec is None
    assert (await backend.encode(bytes(9600), 24_000), engine.encoded) == (b"", [])
    items = await said(backend, engine, LONG, 3)
    assert {item.codes for item in items if isinstance(item, AudioChunk)} == {b""}
    assert int((engine.jobs[1].prompt.tokens == AUDIO).sum()) == 3 + 1


async def test_a_turn_is_prepared_once_for_each_voice_and_forgotten_with_it(tiny: TinyCsm):
    backend = await backend_of(tiny, engine := FakeEngine(capacity=9))
    quoted = turn("t1", 2)
    for voice in ("default", "default", "sampled"):
        _, waiting = await begun(backend.generate(replace(REQUEST, voice=voice, context=(quoted,))))
        waiting.cancel()
        await asyncio.wait({waiting})
    first, second, sampled = (job.prompt for job in engine.jobs)
    assert np.array_equal(first.tokens, second.tokens)
    assert not np.array_equal(first.tokens, sampled.tokens)  # its speakers are the other way round
    assert [len(voices) for voices in backend._quoted.values()] == [2]

    del quoted, waiting
    assert not backend._quoted
