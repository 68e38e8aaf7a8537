"""A codec of 130,000 parameters, and sound for it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from finetune.codec.model import Codec
from finetune.codec.settings import CodecShape

SHAPE = CodecShape(filters=4, hidden=32, layers=1, heads=2, feed=64, codes=32, code_dim=16)


def small_codec() -> Codec:
    torch.manual_seed(0)
    codec = Codec(SHAPE)
    codec.calibrate(0.1 * torch.randn(2, 1920 * 12))
    codec.quantizer.begin(codec.autoencoder.encode(0.1 * torch.randn(8, 1920 * 20)).detach())
    return codec.eval()


def vowels(seconds: float, *, seed: int = 0) -> Tensor:
    """Harmonic tones of random pitch and colour, 160 ms each, as flat int16: what a codec can learn in seconds."""
    rng = np.random.default_rng(seed)
    time = np.arange(24_000 * 4 // 25) / 24_000
    tones = []
    for _ in range(round(seconds / 0.16)):
        pitch, colour = rng.uniform(90, 240), rng.uniform(0.2, 2.0)
        tone = sum(np.sin(2 * np.pi * pitch * k * time) / k**colour for k in range(1, 12))
        tones.append(tone * np.hanning(len(time)) / 4)
    return torch.from_numpy((np.clip(np.concatenate(tones), -1, 1) * 20_000).astype(np.int16))
