"""Rotary position embedding as Llama 3 and `transformers` compute it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tts_engine.model.config import RopeConfig


def inverse_frequencies(head_dim: int, rope: RopeConfig) -> Tensor:
    """Radians a position for each pair of channels, float32 [head_dim / 2]."""
    plain = 1.0 / rope.theta ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    if rope.factor == 1.0:
        return plain
    wavelength = 2 * math.pi / plain
    low = rope.original_max_positions / rope.low_freq_factor
    high = rope.original_max_positions / rope.high_freq_factor
    blend = (rope.original_max_positions / wavelength - rope.low_freq_factor) / (
        rope.high_freq_factor - rope.low_freq_factor
    )
    smoothed = (1 - blend) * plain / rope.factor + blend * plain
    return torch.where(wavelength > low, plain / rope.factor, torch.where(wavelength < high, plain, smoothed))


def rotations(positions: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines, float32 [..., head_dim], of integer positions [...]."""
    angles = positions.float()[..., None] * frequencies
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn x [..., head_dim] by the angles of its position; cos and sin broadcast and have x's type."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin
