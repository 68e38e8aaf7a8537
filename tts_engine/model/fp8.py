"""Weights in 8-bit floats: half of the bytes of bfloat16, one scale an output channel.

Float8 of the kind e4m3: four bits of exponent and three of mantissa, largest number 448. A channel's largest weight
becomes 448, so that each keeps its own range; the product is formed from the 8-bit numbers and scaled after.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FLOAT8 = torch.float8_e4m3fn
LARGEST = 448.0


@dataclass(frozen=True, slots=True)
class Scaled:
    """values [N, K] float8, scale [N] float32: the matrix is values * scale[:, None]."""

    values: Tensor
    scale: Tensor

    def wide(self, dtype: torch.dtype) -> Tensor:
        """The matrix that the values stand for, [N, K]."""
        return (self.values.float() * self.scale[:, None]).to(dtype)


def scaled(weight: Tensor) -> Scaled:
    """Round a matrix [N, K], a channel at a time; a channel of zeros stays zeros."""
    wide = weight.float()
    scale = (wide.abs().amax(1) / LARGEST).clamp(min=2.0**-100)
    return Scaled((wide / scale[:, None]).clamp(-LARGEST, LARGEST).to(FLOAT8), scale)
