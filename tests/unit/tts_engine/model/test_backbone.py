from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.fakes.tiny_csm import TinyCsm
from tts_engine.model.backbone import KvCache

LENGTH = 24


def run(tiny: TinyCsm, x: Tensor, pieces: list[int], cache: KvCache, slots: list[int]) -> Tensor:
    at, out = 0, []
    for piece in pieces:
        start = torch.full((len(slots),), at)
        part = x[:, at : at + piece]
        out.append(tiny.model.backbone(part, cache, torch.tensor(slots), start, span=at + piece))
        at += piece
    return torch.cat(out, dim=1)


def cache_of(tiny: TinyCsm, slots: int) -> KvCache:
    return KvCache(tiny.config.backbone, slots=slots, positions=LENGTH, like=tiny.model.frames.audio_table)


def test_states_are_those_of_transformers(tiny: TinyCsm):
    x = torch.randn(2, LENGTH, 64)
    expected = tiny.reference.backbone_model(inputs_embeds=x).last_hidden_state
    assert torch.allclose(run(tiny, x, [LENGTH], cache_of(tiny, 2), [0, 1]), expected, atol=1e-5)


@given(cuts=st.sets(st.integers(1, LENGTH - 1)))
def test_a_prompt_cut_anywhere_gives_the_states_of_the_whole(tiny: TinyCsm, cuts: set[int]):
    x = torch.randn(1, LENGTH, 64, generator=torch.Generator().manual_seed(4))
    edges = [0, *sorted(cuts), LENGTH]
    pieces = [b - a for a, b in pairwise(edges)]
    whole = run(tiny, x, [LENGTH], cache_of(tiny, 1), [0])
    assert torch.allclose(run(tiny, x, pieces, cache_of(tiny, 1), [0]), whole, atol=1e-5)


@pytest.mark.parametrize("slot", [0, 2])
def test_a_slot_used_before_gives_what_a_fresh_one_gives(tiny: TinyCsm, slot: int):
    cache, x = cache_of(tiny, 3), torch.randn(1, LENGTH, 64)
    run(tiny, torch.randn(1, LENGTH, 64) * 9, [LENGTH], cache, [slot])
    assert torch.allclose(
        run(tiny, x, [10, *[1] * 14], cache, [slot]), run(tiny, x, [LENGTH], cache_of(tiny, 1), [0]), atol=1e-5
    )


def test_rows_of_different_length_share_a_call(tiny: TinyCsm):
    cache, x = cache_of(tiny, 2), torch.randn(2, 10, 64)
    tiny.model.backbone(x, cache, torch.tensor([1, 0]), torch.tensor([0, 0]), span=10)
    step = torch.randn(2, 1, 64)
    together = tiny.model.backbone(step, cache, torch.tensor([1, 0]), torch.tensor([10, 4]), span=11)
    for row, length in ((0, 10), (1, 4)):
        alone = torch.cat((x[row : row + 1, :length], step[row : row + 1]), dim=1)
        expected = run(tiny, alone, [length + 1], cache_of(tiny, 1), [0])[0, -1]
        assert torch.allclose(together[row, 0], expected, atol=1e-5)


def test_padding_beyond_the_last_position_is_dropped(tiny: TinyCsm):
    cache, x = cache_of(tiny, 1), torch.randn(1, LENGTH, 64)
    run(tiny, x[:, : LENGTH - 1], [LENGTH - 1], cache, [0])
    padded = torch.cat((x[:, -1:], torch.randn(1, 5, 64)), dim=1)
    out = tiny.model.backbone(padded, cache, torch.tensor([0]), torch.tensor([LENGTH - 1]), span=LENGTH)
    assert torch.allclose(out[0, 0], run(tiny, x, [LENGTH], cache_of(tiny, 1), [0])[0, -1], atol=1e-5)
