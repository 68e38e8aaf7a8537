from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.fakes.tiny_depth import make_depth, need_interpreter

need_interpreter()

from tts_engine.model.depth_decoder import Draws  # noqa: E402 - behind the skip
from tts_engine.model.depth_kernels import launch_draw, seen  # noqa: E402 - behind the skip
from tts_engine.model.sampling import draw  # noqa: E402 - behind the skip

pytestmark = pytest.mark.filterwarnings("ignore")  # Triton's interpreter on NumPy
ROWS = 24


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_draw_is_that_of_the_plain_decoder_with_ties_and_negative_logits_too(tmp_path: Path, dtype: torch.dtype):
    depth = make_depth(tmp_path, dtype)
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(ROWS, 64, generator=generator) * 3
    logits[::3] = logits[::3].round()  # many equal ones
    logits[1] = -logits[1].abs()
    logits = logits.to(dtype)
    keys = torch.randint(0, 2**32, (ROWS, depth.num_codebooks), generator=generator)
    heat = torch.tensor([0.9, 0.0, 0.4]).repeat(ROWS)[:ROWS]
    draws = Draws(keys, heat, torch.arange(ROWS) + 1, 64)
    codes, out = torch.zeros_like(keys), torch.zeros(ROWS, depth.config.hidden_size, dtype=dtype)
    launch_draw(depth, logits, draws, codes, 1, out)
    expected = draw(logits[:, : depth.codebook_size], keys[:, 1], heat, draws.top_k, limit=64)
    assert torch.equal(codes[:, 1], expected)
    assert torch.equal(out, depth.projected[expected + depth.codebook_size]), "the next pass begins with another code"


def test_attention_looks_at_16_positions_or_at_all_32():
    assert [seen(position) for position in (0, 15, 16, 31)] == [16, 16, 32, 32]
