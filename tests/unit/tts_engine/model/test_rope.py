from __future__ import annotations

import torch
from transformers.models.csm.modeling_csm import CsmRotaryEmbedding, apply_rotary_pos_emb

from tests.fakes.tiny_csm import TinyCsm
from tts_engine.model.rope import inverse_frequencies, rotate, rotations


def test_angles_and_turns_are_those_of_transformers(tiny: TinyCsm):
    for ours, theirs in (
        (tiny.config.backbone, tiny.reference.config),
        (tiny.config.depth, tiny.reference.config.depth_decoder_config),
    ):
        positions = torch.tensor([[0, 1, 31, 500, 2047]])
        x = torch.randn(1, 2, 5, ours.head_dim)
        cos, sin = CsmRotaryEmbedding(theirs)(x, positions)
        expected, _ = apply_rotary_pos_emb(x, x, cos, sin)
        own_cos, own_sin = rotations(positions, inverse_frequencies(ours.head_dim, ours.rope))
        assert torch.allclose(rotate(x, own_cos, own_sin), expected, atol=1e-6)
