from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.fakes.device_only import DeviceOnly
from tests.fakes.tiny_csm import TinyCsm
from tts_engine.backend.vllm_plugin.ids import STOP_ID, FrameIds, prompt_ids
from tts_engine.backend.vllm_plugin.outlet import DirectOutlet, Send
from tts_engine.backend.vllm_plugin.runtime import CsmRuntime, Limits
from tts_engine.backend.vllm_plugin.wire import ENDED, LOST, REFUSED, SPOKE, Keys, Rows
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.csm import CsmModel
from tts_engine.model.mimi.decoder import MimiDecoder
from tts_engine.model.mimi.weights import load_decoder
from tts_engine.model.prompt import AUDIO, ContextTurn, Prompt

GREEDY = {"temperature": 0.0, "depth_temperature": 0.0}
LIMITS = Limits(requests=3, positions=64, tokens=128, spare_slots=1)


class Bench:
    """A runtime with one row a request, and what came out."""

    def __init__(self, tiny: TinyCsm) -> None:
        mimi = MimiDecoder(tiny.config.mimi)
        load_decoder(mimi, Checkpoint(tiny.folder))
        self.sent: list[tuple[int, np.ndarray]] = []
        self.runtime = CsmRuntime(tiny.model.frames, mimi, LIMITS, DirectOutlet(self._take), self._take)
        self._ids = FrameIds(8)
        self.names = {self.runtime.scratch: "dry run"}

    def add(self, name: str, key: int, prompt: Prompt, *, more: int = 0) -> int:
        extra: dict[str, Any] = {
            "key": key,
            "sampling": GREEDY,
            "frames": prompt.codes[prompt.tokens == AUDIO].tobytes(),
        }
        ids = prompt_ids(prompt, self._ids)
        return self._named(name, self.runtime.add(name, extra, ids, known=len(ids) + more))

    def _named(self, name: str, slot: int) -> int:
        self.names[slot] = name
        return slot

    def say(self, slots: list[int], positions: list[int], hidden: torch.Tensor | None = None) -> list[int]:
        hidden = torch.randn(len(slots), 64) if hidden is None else hidden
        said = self.runtime.say(hidden, torch.tensor(slots), torch.tensor(positions))
        self.runtime.emit([self.names[slot] for slot in slots], said.out)
        return said.ids.tolist()

    def _take(self, keys: Keys, rows: Rows) -> None:
        self.sent += zip(keys.tolist(), rows, strict=True)


def prompt_of(tiny: TinyCsm, frames: int = 2) -> Prompt:
    codes = np.random.default_rng(frames).integers(1, 32, (frames, 8), np.int16)
    return tiny.builder.build("a", speaker=0, context=[ContextTurn(1, "b", codes)], reserve_frames=9)


def test_what_goes_in_is_the_embedding_of_the_prompt_at_any_position(tiny: TinyCsm):
    bench, prompts = Bench(tiny), [prompt_of(tiny, 2), prompt_of(tiny, 5)]
    slots = [bench.add(f"r{n}", n, prompt) for n, prompt in enumerate(prompts)]
    ids = torch.tensor([prompt_ids(prompts[0], FrameIds(8))[8], *prompt_ids(prompts[1], FrameIds(8))[3:12]])
    positions = torch.tensor([8, *range(3, 12)])
    bench.runtime.embed(ids, positions, torch.tensor([slots[0]] + [slots[1]] * 9))
    expected = [
        tiny.model.frames.embed(torch.from_numpy(prompt.tokens).long(), torch.from_numpy(prompt.codes).long())
        for prompt in prompts
    ]
    assert torch.equal(bench.runtime.embeddings[:10], torch.cat([expected[0][8:9], expected[1][3:12]]))


def test_a_frame_said_goes_in_next_by_either_way(tiny: TinyCsm):
    bench = Bench(tiny)
    slot = bench.add("r", 1, prompt_of(tiny))
    [said] = bench.say([slot], [20])
    bench.runtime.embed(torch.tensor([said]), torch.tensor([20]), torch.tensor([slot]))
    by_table = bench.runtime.embeddings[0].clone()
    bench.runtime.embed_last(torch.tensor([slot]))
    assert torch.equal(by_table, bench.runtime.embeddings[0])
    [(key, row)] = bench.sent
    assert (key, row[-2], row[-1]) == (1, 1, SPOKE)
    assert said == FrameIds(8)(torch.from_numpy(row[-10:-2].astype(np.int64))[None], torch.tensor([False])).item()


def test_rows_of_unfinished_prompts_say_nothing(tiny: TinyCsm):
    bench = Bench(tiny)
    slot = bench.add("r", 1, prompt_of(tiny))
    bench.say([bench.runtime.scratch, slot], [9, 20])
    assert [key for key, _ in bench.sent] == [1]


def test_the_end_is_the_stop_token_and_is_told_once(tiny: TinyCsm):
    bench = Bench(tiny)
    slot = bench.add("r", 1, prompt_of(tiny))
    bench.runtime.state.silent[slot] = 1000
    assert bench.say([slot], [20]) == [STOP_ID]
    assert bench.say([slot], [21]) == [STOP_ID]
    assert [(key, row[-1]) for key, row in bench.sent] == [(1, ENDED)]
    bench.runtime.remove("r")
    others = [bench.add(str(key), key, prompt_of(tiny)) for key in range(2, LIMITS.slots + 1)]
    assert slot not in others
    assert bench.add("next", 9, prompt_of(tiny)) == slot
    assert bench.say([slot], [20]) != [STOP_ID]


def test_a_preempted_request_goes_on_where_it_was(tiny: TinyCsm):
    hidden = torch.randn(4, 1, 64)
    whole, broken = Bench(tiny), Bench(tiny)
    expected = [whole.say([whole.add("r", 1, prompt_of(tiny))], [20], hidden[0])]
    expected += [whole.say([0], [20 + n], hidden[n]) for n in (1, 2, 3)]
    got = [broken.say([broken.add("r", 1, prompt_of(tiny))], [20], hidden[0])]
    got.append(broken.say([0], [21], hidden[1]))
    broken.runtime.remove("r")
    broken.add("other", 2, prompt_of(tiny))
    slot = broken.add("r", 1, prompt_of(tiny), more=2)
    got += [broken.say([slot], [20 + n], hidden[n]) for n in (2, 3)]
    assert got == expected
    again = [row for key, row in broken.sent if key == 1]
    # the codec's shapes differ, so its sound may by rounding; codes, numbers and flags may not
    for (_, row), other in zip(whole.sent, again, strict=True):
        assert np.array_equal(row[1920:], other[1920:])
        assert np.abs(row[:1920].astype(int) - other[:1920]).max() <= 2


def test_a_preempted_request_whose_slot_went_to_another_is_told_lost(tiny: TinyCsm):
    bench = Bench(tiny)
    bench.add("r", 1, prompt_of(tiny))
    bench.runtime.remove("r")
    for key in (2, 3, 4):
        bench.add(f"r{key}", key, prompt_of(tiny))
    bench.add("r5", 5, prompt_of(tiny))
    bench.runtime.remove("r5", finished=True)
    slot = bench.add("r", 1, prompt_of(tiny), more=4)
    assert [(key, row[-1]) for key, row in bench.sent] == [(1, LOST)]
    assert bench.say([slot], [20]) == [STOP_ID]


def test_vllms_own_requests_have_keys_that_nobody_hears(tiny: TinyCsm):
    bench = Bench(tiny)
    slots = [bench.runtime.add(f"warm-up {n}", {}, [0, 1, 2], known=3) for n in range(2)]
    bench.names |= {slot: f"warm-up {n}" for n, slot in enumerate(slots)}
    bench.say(slots, [3, 3])
    assert [key for key, _ in bench.sent] == [-1, -2]
    bench.runtime.remove("warm-up 0")
    bench.runtime.remove("never there")
    bench.runtime.close()


def test_the_step_brings_nothing_along_from_the_host(tiny: TinyCsm):
    model, mimi = CsmModel(tiny.config).to("meta"), MimiDecoder(tiny.config.mimi).to("meta")
    nowhere: Send = lambda _keys, _rows: None  # noqa: E731 - a name for the type
    runtime = CsmRuntime(model.frames, mimi, LIMITS, DirectOutlet(nowhere), nowhere)
    numbers = torch.zeros(3, dtype=torch.int64, device="meta")
    with DeviceOnly():
        runtime.embed(numbers, numbers, numbers)
        runtime.embed_last(numbers)
        said = runtime.say(torch.empty(3, 64, device="meta"), numbers, numbers)
    assert (said.ids.shape, said.out.shape) == ((3,), (3, 1920 + 8 + 2))


@pytest.mark.parametrize("wrong", [{"frames": b"\0" * 16}, {"sampling": {"top_k": 0}}])
def test_a_request_that_cannot_be_taken_is_refused_alone(tiny: TinyCsm, wrong: dict[str, Any]):
    bench, prompt = Bench(tiny), prompt_of(tiny)
    ids = prompt_ids(prompt, FrameIds(8))
    extra = {"key": 1, "frames": prompt.codes[prompt.tokens == AUDIO].tobytes()}
    refused = bench._named("r", bench.runtime.add("r", extra | wrong, ids, known=len(ids)))
    other = bench.add("s", 2, prompt)

    assert [(key, row[-1]) for key, row in bench.sent] == [(1, REFUSED)]
    said, _ = bench.say([refused, other], [20, 20])
    assert said == STOP_ID  # vLLM lets go of it
    assert [(key, row[-1]) for key, row in bench.sent[1:]] == [(2, SPOKE)]
