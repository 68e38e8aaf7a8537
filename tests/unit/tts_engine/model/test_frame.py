from __future__ import annotations

import inspect
import sys

import pytest
import torch
from torch import Tensor

from tests.fakes.device_only import DeviceOnly
from tests.fakes.plain_generation import GREEDY
from tests.fakes.tiny_csm import TinyCsm
from tts_engine.model.csm import CsmModel
from tts_engine.model.depth_decoder import Draws
from tts_engine.model.frame import FrameState
from tts_engine.model.sampling import Sampling
from tts_engine.protocol import MAX_TOP_K


def state_of(tiny: TinyCsm, slots: int = 4) -> FrameState:
    return FrameState(tiny.config, slots=slots, like=tiny.model.frames.audio_table)


def test_a_model_that_only_says_zero_ends_at_frame_0(tiny: TinyCsm):
    model = CsmModel(tiny.config)
    model.load_state_dict(tiny.model.state_dict())
    model.frames.first_head.zero_()
    model.frames.depth.heads.zero_()
    model.frames.prepare()
    state = state_of(tiny)
    state.admit(1, GREEDY)
    frame = model.frames(torch.randn(1, 64), torch.tensor([1]), state)
    assert not frame.codes.any()
    assert frame.ended.tolist() == [True]


def test_each_row_draws_by_its_own_settings_which_lie_as_kernels_read_them(tiny: TinyCsm, monkeypatch):
    state, drawn = state_of(tiny), []
    for slot in range(3):
        state.admit(slot, Sampling(temperature=2.0, depth_temperature=slot / 2, top_k=slot + 1))
    depth = tiny.model.frames.depth

    def kernels(hidden: Tensor, first: Tensor, draws: Draws) -> Tensor:
        drawn.append(draws)
        return depth(hidden, first, draws)

    monkeypatch.setattr(tiny.model.frames, "_fused", kernels)
    tiny.model.frames(torch.randn(3, 64), torch.tensor([2, 0, 1]), state)
    [draws] = drawn
    # a kernel is given where they begin, and steps from row to row by one
    assert (draws.temperature.tolist(), draws.temperature.stride()) == ([1.0, 0.0, 0.5], (1,))
    assert (draws.top_k.tolist(), draws.top_k.stride()) == ([3, 1, 2], (1,))


def test_an_engine_keeps_as_many_candidates_as_a_request_may_ask_for():
    assert inspect.signature(FrameState).parameters["top_k_limit"].default == MAX_TOP_K


def test_the_end_is_zero_in_all_codebooks_but_the_last(tiny: TinyCsm):
    codes = torch.zeros(3, 8, dtype=torch.int64)
    codes[1, 7], codes[2, 0] = 5, 5
    assert tiny.model.frames.ended(codes).tolist() == [True, True, False]


def test_a_frame_leaves_its_codes_and_embedding_in_the_slot_and_counts(tiny: TinyCsm):
    state = state_of(tiny)
    state.admit(2, Sampling(seed=1), frame=5)
    frame = tiny.model.frames(torch.randn(1, 64), torch.tensor([2]), state)
    assert torch.equal(state.codes[2], frame.codes[0])
    assert torch.equal(state.embedding[2], tiny.model.frames.embed_frames(frame.codes)[0])
    assert state.frame.tolist() == [0, 0, 6, 0, 0]


def test_rows_to_be_dropped_touch_no_slot(tiny: TinyCsm):
    state = state_of(tiny)
    before = state.codes.clone(), state.embedding.clone(), state.frame.clone()
    tiny.model.frames(torch.randn(3, 64), torch.full((3,), state.scratch), state)
    after = state.codes, state.embedding, state.frame
    assert all(torch.equal(a[:-1], b[:-1]) for a, b in zip(before, after, strict=True))


def test_the_step_reads_nothing_back_from_the_device(tiny: TinyCsm):
    frames = CsmModel(tiny.config).to("meta").frames
    state = FrameState(tiny.config, slots=4, like=frames.audio_table)
    hidden, slots = torch.empty(3, 64, device="meta"), torch.zeros(3, dtype=torch.int64, device="meta")
    with DeviceOnly():
        frame = frames(hidden, slots, state)
    assert (frame.codes.shape, frame.ended.shape) == ((3, 8), (3,))


def test_more_candidates_than_the_engine_keeps_are_refused(tiny: TinyCsm):
    state = FrameState(tiny.config, slots=1, like=tiny.model.frames.audio_table, top_k_limit=20)
    with pytest.raises(ValueError, match="at most 20"):
        state.admit(0, Sampling(top_k=21))


def test_a_frame_of_a_prompt_is_the_sum_of_its_codes_and_a_token_its_row(tiny: TinyCsm):
    frames = tiny.model.frames
    codes = torch.randint(0, 32, (2, 8))
    embedded = frames.embed(torch.tensor([-1, 7]), codes)
    table = frames.audio_table.view(8, 35, 64)
    assert torch.allclose(embedded[0], sum(table[n, codes[0, n]] for n in range(8)), atol=1e-5)
    assert torch.equal(embedded[1], frames.text_table[7])


def test_without_triton_the_plain_decoder_goes_on_and_says_so(tiny: TinyCsm, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tts_engine.model.depth_paths", None)
    frames = CsmModel(tiny.config).frames
    assert frames.fuse(max_batch=4, alone=True).startswith("plain PyTorch: ")
