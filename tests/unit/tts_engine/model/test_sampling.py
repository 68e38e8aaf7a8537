from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from tts_engine.model.sampling import Sampling, draw, frame_keys, gumbel, stream_key

ROWS = 40_000


def keys_of(seed: int, frames: int, codebook: int = 0) -> Tensor:
    streams = torch.full((frames,), stream_key(seed))
    return frame_keys(streams, torch.arange(frames), 4)[:, codebook]


def drawn(logits: Tensor, *, temperature: float, top_k: int, limit: int = 64, seed: int = 0) -> Tensor:
    rows = logits.expand(ROWS, -1)
    return draw(rows, keys_of(seed, ROWS), torch.full((ROWS,), temperature), torch.full((ROWS,), top_k), limit=limit)


@pytest.mark.parametrize("temperature", [0.5, 0.9, 1.5])
@pytest.mark.parametrize("top_k", [1, 5, 50])
def test_codes_are_distributed_as_softmax_of_the_top_k(temperature: float, top_k: int):
    logits = torch.randn(67, generator=torch.Generator().manual_seed(3)) * 1.5
    kept = logits.topk(top_k).indices
    expected = (logits[kept] / temperature).softmax(-1) * ROWS
    codes = drawn(logits, temperature=temperature, top_k=top_k)
    counts = torch.bincount(codes, minlength=67)
    assert counts[kept].sum() == ROWS
    if top_k > 1:
        frequent = expected >= 5
        observed, wanted = counts[kept][frequent].double(), expected[frequent].double()
        assert chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > 1e-3


def test_draws_of_neighbouring_codebooks_and_frames_are_independent():
    logits = torch.zeros(ROWS, 8)
    ones, tens = torch.ones(ROWS), torch.full((ROWS,), 8)
    first = draw(logits, keys_of(5, ROWS, 0), ones, tens, limit=8)
    second = draw(logits, keys_of(5, ROWS, 1), ones, tens, limit=8)
    for pairs in (first * 8 + second, first[:-1] * 8 + first[1:]):
        assert chisquare(torch.bincount(pairs, minlength=64).double()).pvalue > 1e-3


def test_temperature_zero_takes_the_best_and_of_equals_the_lowest():
    logits = torch.tensor([[0.0, 3.0, 3.0, 1.0], [2.0, 2.0, 2.0, 2.0]])
    codes = draw(logits, torch.tensor([1, 2]), torch.zeros(2), torch.tensor([4, 4]), limit=4)
    assert codes.tolist() == [1, 0]


def test_a_code_tied_with_the_last_of_the_top_k_may_be_drawn():
    codes = drawn(torch.tensor([2.0, 1.0, 1.0, 0.0]), temperature=1.0, top_k=2, limit=4)
    assert set(codes.tolist()) == {0, 1, 2}


@given(row=st.integers(0, 9), seed=st.integers(0, 2**63 - 1), frame=st.integers(0, 2047))
def test_a_row_draws_the_same_alone_and_in_any_batch(row: int, seed: int, frame: int):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(10, 67, generator=generator)
    streams, frames = torch.randint(0, 2**32, (10,), generator=generator), torch.arange(10)
    streams[row], frames[row] = stream_key(seed), frame
    temperature, top_k = torch.linspace(0.0, 1.4, 10), torch.arange(1, 51, 5)
    keys = frame_keys(streams, frames, 3)
    one = slice(row, row + 1)
    together = draw(logits, keys[:, 2], temperature, top_k, limit=50)
    alone = frame_keys(streams[one], frames[one], 3)[:, 2]
    assert torch.equal(alone, keys[one, 2])
    assert together[row] == draw(logits[one], alone, temperature[one], top_k[one], limit=50)[0]


def test_the_noise_is_fixed_for_all_backends_and_versions():
    keys = frame_keys(torch.tensor([stream_key(2**40 + 7)]), torch.tensor([3]), 2)
    assert keys.tolist() == [[1994616111, 255900841]]
    assert gumbel(keys[0], torch.tensor([[0, 2050], [5, 5]])).mul(1e4).round().tolist() == [
        [10184.0, 35159.0],
        [-7957.0, -7957.0],
    ]


def test_noise_is_finite_at_both_ends():
    noise = gumbel(torch.arange(2000), torch.arange(2051)[None].expand(2000, -1))
    assert noise.isfinite().all()
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.005)


def test_seeds_that_differ_in_high_bits_only_differ():
    assert stream_key(1) != stream_key(1 + 2**32)
    assert 0 <= stream_key(-1) < 2**32


@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"depth_temperature": -0.1}, {"top_k": 0}])
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, float]):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)
