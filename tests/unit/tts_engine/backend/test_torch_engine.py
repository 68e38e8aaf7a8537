from __future__ import annotations

import copy
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.fakes.plain_generation import GREEDY, generate
from tests.fakes.tiny_csm import TinyCsm
from tts_engine.backend.csm_engine import EngineEvent, Failed, Finished, Job, Spoke
from tts_engine.backend.torch_engine import TorchEngine
from tts_engine.errors import SpeechCapacityError
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.csm import CsmModel
from tts_engine.model.mimi.decoder import MimiDecoder
from tts_engine.model.mimi.weights import load_decoder
from tts_engine.model.prompt import ContextTurn, Prompt
from tts_engine.model.sampling import Sampling

Heard = queue.SimpleQueue[EngineEvent]


def codec(tiny: TinyCsm) -> MimiDecoder:
    decoder = MimiDecoder(tiny.config.mimi)
    load_decoder(decoder, Checkpoint(tiny.folder))
    return decoder


def engine_of(tiny: TinyCsm, *, slots: int = 3, positions: int = 600, model: CsmModel | None = None) -> TorchEngine:
    return TorchEngine(model or tiny.model, codec(tiny), slots=slots, positions=positions)


@contextmanager
def serving(engine: TorchEngine, heard: Heard, also: Callable[[EngineEvent], None] = lambda _: None) -> Iterator[None]:
    def sink(events: Sequence[EngineEvent]) -> None:
        for event in events:
            also(event)
            heard.put(event)

    engine.start(sink)
    try:
        yield
    finally:
        engine.close()


def job(tiny: TinyCsm, key: int, text: str = "Salam.", *, frames: int = 5, sampling: Sampling = GREEDY) -> Job:
    return Job(key, tiny.builder.build(text, speaker=0, reserve_frames=100), sampling, frames)


def until_finished(heard: Heard, keys: set[int]) -> dict[int, list[EngineEvent]]:
    events: dict[int, list[EngineEvent]] = {}
    while keys:
        event = heard.get(timeout=30)
        events.setdefault(event.key, []).append(event)
        if not isinstance(event, Spoke):
            keys = keys - {event.key}
    return events


def codes_of(events: list[EngineEvent]) -> list[list[int]]:
    return [np.frombuffer(event.codes, "<i2").tolist() for event in events if isinstance(event, Spoke)]


def plain(tiny: TinyCsm, wanted: Job) -> list[list[int]]:
    return generate(tiny.model, [wanted.prompt], [wanted.sampling], wanted.max_frames)[0].tolist()


def sound_of(tiny: TinyCsm, codes: list[list[int]]) -> Tensor:
    return tiny.reference.codec_model.decode(torch.tensor([codes]).clamp(max=31).transpose(1, 2)).audio_values[0, 0]


def test_a_stream_is_the_codes_of_the_model_and_the_sound_of_the_codec(tiny: TinyCsm):
    heard, wanted = Heard(), job(tiny, 1, frames=6)
    with serving(engine := engine_of(tiny), heard):
        engine.submit(wanted)
        events = until_finished(heard, {1})[1]
    codes = codes_of(events)
    assert codes == plain(tiny, wanted)
    assert events[-1] == Finished(1, "length")
    pcm = np.frombuffer(b"".join(event.pcm for event in events if isinstance(event, Spoke)), "<i2")
    expected = (sound_of(tiny, codes).clamp(-1, 1) * 32767).numpy()
    assert np.abs(pcm - expected).max() < 4


def test_streams_that_come_and_go_do_not_change_each_other(tiny: TinyCsm):
    """Eight jobs on three slots; each later one is begun from the engine's own events, when a place is free."""
    jobs = [
        job(tiny, key, "Söz " * key, frames=3 + key % 4, sampling=replace(GREEDY, temperature=key % 2, seed=key))
        for key in range(1, 9)
    ]
    heard, rest = Heard(), list(jobs[3:])
    engine = engine_of(tiny)

    def refill(event: EngineEvent) -> None:
        if isinstance(event, Finished) and rest:
            engine.submit(rest.pop(0))

    for first in jobs[:3]:
        engine.submit(first)
    with serving(engine, heard, refill):
        events = until_finished(heard, {one.key for one in jobs})
    for one in jobs:
        assert codes_of(events[one.key]) == plain(tiny, one), one.key


def test_sixteen_at_once_most_of_them_after_sound_say_what_the_model_says(tiny: TinyCsm):
    random = np.random.default_rng(0)

    def one(key: int) -> Job:
        turns = [ContextTurn(1, "Sual.", random.integers(1, 32, (7 * key, 8), np.int16))] * (key % 3)
        prompt = tiny.builder.build("Söz " * key, speaker=0, context=turns, reserve_frames=100)
        return Job(key, prompt, Sampling(key % 2 / 2, key % 3 / 3, top_k=key, seed=key), 6)

    jobs, heard, engine = [one(key) for key in range(1, 17)], Heard(), engine_of(tiny, slots=16)
    for each in jobs:
        engine.submit(each)
    with serving(engine, heard):
        events = until_finished(heard, {each.key for each in jobs})
    for each in jobs:
        assert codes_of(events[each.key]) == plain(tiny, each), each.key


def test_a_slot_used_again_begins_with_clean_sound(tiny: TinyCsm):
    heard, engine = Heard(), engine_of(tiny, slots=1)
    with serving(engine, heard):
        engine.submit(job(tiny, 1, "Birinci.", frames=9))
        until_finished(heard, {1})
        engine.submit(job(tiny, 2, frames=4))
        again = until_finished(heard, {2})[2]
    fresh_engine, fresh = engine_of(tiny, slots=1), Heard()
    with serving(fresh_engine, fresh):
        fresh_engine.submit(job(tiny, 2, frames=4))
        assert until_finished(fresh, {2})[2] == again


def test_an_aborted_stream_says_nothing_more_and_frees_its_place(tiny: TinyCsm):
    heard, engine = Heard(), engine_of(tiny, slots=1)
    spoke, go_on = threading.Event(), threading.Event()

    def hold(event: EngineEvent) -> None:
        spoke.set()
        assert go_on.wait(30)

    with serving(engine, heard, hold):
        engine.submit(job(tiny, 1, frames=400))
        assert spoke.wait(30)
        engine.abort(1)
        engine.submit(job(tiny, 2, frames=2))  # at once: the engine's thread does not know of either yet
        go_on.set()
        events = until_finished(heard, {2})
    assert len(events[1]) == 1
    assert len(codes_of(events[2])) == 2


def test_a_stream_aborted_before_it_was_read_is_dropped(tiny: TinyCsm):
    heard, engine = Heard(), engine_of(tiny, slots=2)
    engine.submit(job(tiny, 1, "Uzun mətn " * 40))
    engine.submit(job(tiny, 2))
    engine.abort(1)
    engine.abort(77)
    with serving(engine, heard):
        assert set(until_finished(heard, {2})) == {2}


def test_more_streams_than_places_are_refused(tiny: TinyCsm):
    engine = engine_of(tiny, slots=2)
    engine.submit(job(tiny, 1))
    engine.submit(job(tiny, 2))
    with pytest.raises(SpeechCapacityError, match="2 streams"):
        engine.submit(job(tiny, 3))


def test_a_long_prompt_is_read_in_chunks_while_others_speak(tiny: TinyCsm):
    long, short = job(tiny, 1, "Uzun mətn. " * 44, frames=3), job(tiny, 2, frames=8)
    assert 500 < len(long.prompt) < 600
    heard, engine = Heard(), engine_of(tiny)
    engine.submit(short)
    engine.submit(long)
    with serving(engine, heard):
        events = until_finished(heard, {1, 2})
    assert codes_of(events[1]) == plain(tiny, long)
    assert codes_of(events[2]) == plain(tiny, short)


class SteppedClock:
    """Goes on by `step_s` at every look, of which a step takes one."""

    def __init__(self, step_s: float) -> None:
        self.now, self.step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


def test_who_is_far_ahead_rests_while_another_begins_and_goes_on_once_it_has_gone(tiny: TinyCsm):
    clock, heard = SteppedClock(0.02), Heard()
    engine = TorchEngine(tiny.model, codec(tiny), slots=2, positions=600, clock=clock)
    order: list[int] = []

    def follow(event: EngineEvent) -> None:
        if isinstance(event, Spoke):
            order.append(event.key)
            if len(order) == 60:  # 3.6 s ahead
                clock.step_s = 0.079  # hardly faster than it is played
                engine.submit(job(tiny, 2, frames=15))
        elif event.key == 2:
            clock.step_s = 0.0  # no lead is looked at again

    engine.submit(job(tiny, 1, frames=100))
    with serving(engine, heard, follow):
        events = until_finished(heard, {1, 2})
    both = order[60:]
    first, last = both.index(2), len(both) - both[::-1].index(2)
    assert both[first:last].count(1) <= 3  # until its lead is looked at, every other frame
    assert (len(codes_of(events[1])), len(codes_of(events[2]))) == (100, 15)
    assert codes_of(events[1]) == plain(tiny, job(tiny, 1, frames=100))


def test_a_model_that_ends_at_frame_0_makes_no_sound(tiny: TinyCsm):
    model = copy.deepcopy(tiny.model)
    model.frames.first_head.zero_()
    model.frames.depth.heads.zero_()
    heard, engine = Heard(), engine_of(tiny, model=model)
    with serving(engine, heard):
        engine.submit(job(tiny, 1))
        assert until_finished(heard, {1})[1] == [Finished(1, "stop")]


def test_a_stream_that_falls_silent_is_ended(tiny: TinyCsm):
    decoder = codec(tiny)
    decoder.last.weight.zero_()
    decoder.last.bias.zero_()
    heard, engine = Heard(), TorchEngine(tiny.model, decoder, slots=1, positions=600)
    with serving(engine, heard):
        engine.submit(job(tiny, 1, frames=100))
        events = until_finished(heard, {1})[1]
        engine.submit(job(tiny, 2, frames=5))
        after = until_finished(heard, {2})[2]
    assert events[-1] == Finished(1, "stop")
    assert len(events) == 38 + 1
    # the silence of the one before is not held against the next in the slot
    assert (len(after), after[-1]) == (5 + 1, Finished(2, "length"))


def test_a_stream_ends_where_the_positions_end(tiny: TinyCsm):
    heard, engine = Heard(), engine_of(tiny, positions=40)
    wanted = job(tiny, 1, frames=100)
    with serving(engine, heard):
        engine.submit(wanted)
        events = until_finished(heard, {1})[1]
    # the frame that would be read at position 40 is still said, only not read
    assert len(codes_of(events)) == 40 - len(wanted.prompt) + 1
    assert events[-1] == Finished(1, "length")


def test_a_step_that_breaks_fails_its_streams_and_the_next_ones_work(tiny: TinyCsm):
    broken = Prompt.of(np.array([9999], np.int32), np.zeros((1, 8), np.int16))
    heard, engine = Heard(), engine_of(tiny)
    with serving(engine, heard):
        engine.submit(Job(1, broken, GREEDY, 5))
        [failed] = until_finished(heard, {1})[1]
        assert isinstance(failed, Failed)
        assert "IndexError" in failed.message
        engine.submit(job(tiny, 2))
        assert codes_of(until_finished(heard, {2})[2]) == plain(tiny, job(tiny, 2))
        assert not engine.failure


def test_an_engine_that_cannot_begin_anew_tells_its_streams_and_says_so(tiny: TinyCsm, monkeypatch):
    broken = Prompt.of(np.array([9999], np.int32), np.zeros((1, 8), np.int16))
    heard, engine = Heard(), engine_of(tiny)

    def break_too() -> None:
        engine.submit(job(tiny, 2))  # it comes while the engine tries to begin anew
        raise MemoryError("none left")

    with serving(engine, heard):
        monkeypatch.setattr(engine, "_reset", break_too)
        engine.submit(Job(1, broken, GREEDY, 5))
        events = until_finished(heard, {1, 2})
        assert [type(event) for event in (*events[1], *events[2])] == [Failed, Failed]
        assert "none left" in engine.failure


def test_an_engine_that_is_closed_says_so(tiny: TinyCsm):
    engine = engine_of(tiny)
    with serving(engine, Heard()):
        assert engine.failure == ""
    engine.close()
    assert "closed" in engine.failure
