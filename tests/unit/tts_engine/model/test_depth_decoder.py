from __future__ import annotations

import torch

from tests.fakes.tiny_csm import TinyCsm
from tts_engine.model.csm import CsmModel
from tts_engine.model.depth_decoder import Draws


def draws(rows: int, codebooks: int, *, device: str = "cpu") -> Draws:
    keys = torch.zeros(rows, codebooks, dtype=torch.int64, device=device)
    return Draws(keys, torch.zeros(rows, device=device), keys[:, 0] + 1, 64)


def test_logits_of_true_codes_are_those_of_transformers(tiny: TinyCsm):
    hidden = torch.randn(5, 64)
    codes = torch.randint(0, 32, (5, tiny.config.num_codebooks))
    padded = torch.nn.functional.pad(codes[:, :-1], (1, 0))
    expected = tiny.reference.depth_decoder(input_ids=padded, backbone_last_hidden_state=hidden).logits
    assert torch.allclose(tiny.model.frames.depth.logits(hidden, codes), expected, atol=1e-5)


def test_the_loop_takes_the_best_of_the_logits_that_one_pass_gives(tiny: TinyCsm):
    depth = tiny.model.frames.depth
    hidden = torch.randn(7, 64)
    codes = depth(hidden, torch.randint(0, 32, (7,)), draws(7, 8))
    assert torch.equal(depth.logits(hidden, codes).argmax(-1), codes[:, 1:])


def test_the_loop_reads_nothing_back_from_the_device(tiny: TinyCsm):
    """A tensor on `meta` has no values: reading one, or a shape that depends on one, raises."""
    depth = CsmModel(tiny.config).to("meta").frames.depth
    codes = depth(
        torch.empty(3, 64, device="meta"),
        torch.zeros(3, dtype=torch.int64, device="meta"),
        draws(3, 8, device="meta"),
    )
    assert codes.shape == (3, 8)
