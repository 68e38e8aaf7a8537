from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.fakes.tiny_depth import a_frame, make_depth, need_interpreter

need_interpreter()

from tts_engine.model.fused import FusedDepth  # noqa: E402 - behind the skip

pytestmark = pytest.mark.filterwarnings("ignore")  # Triton's interpreter on NumPy


def test_the_codes_are_those_of_the_plain_decoder(tmp_path: Path):
    depth = make_depth(tmp_path)
    frame = a_frame(3)
    assert torch.equal(FusedDepth(depth, max_batch=3)(*frame), depth(*frame))


def test_a_down_projection_in_parts_draws_the_same_codes(tmp_path: Path):
    depth = make_depth(tmp_path)
    frame = a_frame(2)
    assert torch.equal(FusedDepth(depth, max_batch=2, down_parts=2)(*frame), depth(*frame))


def test_an_mlp_in_8_bits_draws_mostly_the_same_codes(tmp_path: Path):
    depth = make_depth(tmp_path, torch.bfloat16)
    frame = a_frame(9, torch.bfloat16, seed=4)
    same = FusedDepth(depth, max_batch=9, float8=True)(*frame) == depth(*frame)
    assert same[:, 1].float().mean() > 0.7
    assert not same.all(), "nothing was rounded"
