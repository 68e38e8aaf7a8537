from __future__ import annotations

import torch

from tts_engine.model.fp8 import FLOAT8, LARGEST, scaled


def test_each_channel_keeps_its_own_range():
    weight = torch.randn(6, 64) * torch.tensor([1e-4, 1e-2, 1.0, 10.0, 1e3, 1e5])[:, None]
    rounded = scaled(weight)
    assert rounded.values.dtype == FLOAT8
    assert rounded.values.float().abs().amax(1).tolist() == [LARGEST] * 6
    # three bits of mantissa: half a step is at most a sixteenth of the number, or of the smallest normal one
    error = (rounded.wide(torch.float32) - weight).abs()
    assert (error <= weight.abs() / 16 + rounded.scale[:, None] * 2.0**-10).all()


def test_a_channel_of_zeros_stays_zeros():
    assert not scaled(torch.zeros(2, 16)).wide(torch.float32).any()
