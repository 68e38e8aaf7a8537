"""How a code is drawn: temperature, exact top-k, and noise that is a pure function of (seed, frame, codebook, code).

The noise is a hash, not a generator, so a request draws the same codes whatever else shares its batch, whichever row
or slot it sits in, and in every backend. Only 32-bit integer arithmetic is used (held in int64, where no product
overflows), so CPU and GPU agree to the bit; all shapes are static and nothing waits for the device. (`torch.where`
with a number does: it copies the number there. Hence `masked_fill`.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_GOLDEN = 0x1E3779B9  # 2**32 / golden ratio, cut below 2**31: a 32-bit number times it fits in int64
_CODE = 0x27D4EB2F


@dataclass(frozen=True, slots=True)
class Sampling:
    """What a request asks for. Temperature 0 is greedy; `top_k` candidates are kept, ties with the last one too."""

    temperature: float = 0.9
    depth_temperature: float = 0.9
    top_k: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.depth_temperature < 0:
            raise ValueError("temperature and depth_temperature must not be negative")
        if self.top_k < 1:
            raise ValueError("top_k must be at least 1")


def _mix(x: Tensor) -> Tensor:
    """Hash 32-bit numbers held in int64 (lowbias32: each input bit flips each output bit half of the time)."""
    x = (x ^ (x >> 16)) * 0x21F0AAAD & _MASK
    x = (x ^ (x >> 15)) * 0x735A2D97 & _MASK
    return x ^ (x >> 15)


def _mix_int(x: int) -> int:
    x = (x ^ (x >> 16)) * 0x21F0AAAD & _MASK
    x = (x ^ (x >> 15)) * 0x735A2D97 & _MASK
    return x ^ (x >> 15)


def stream_key(seed: int) -> int:
    """Return the 32-bit key of a request's noise from its seed (any integer; 64 bits of it count)."""
    return _mix_int(_mix_int(seed & _MASK) ^ (seed >> 32 & _MASK))


def frame_keys(streams: Tensor, frames: Tensor, num_codebooks: int) -> Tensor:
    """Keys [B, num_codebooks] of one frame from stream keys [B] and frame numbers [B], all int64."""
    frame = _mix(streams ^ _mix(frames * _GOLDEN & _MASK))
    codebook = torch.arange(1, num_codebooks + 1, device=streams.device) * _GOLDEN & _MASK
    return _mix(frame[:, None] ^ codebook)


def gumbel(keys: Tensor, codes: Tensor) -> Tensor:
    """Gumbel noise, float32 of the shape of `codes` [B, N], for keys [B]."""
    bits = _mix(keys[:, None] ^ (codes * _CODE & _MASK))
    # 23 bits and a half step: exact in float32, never 0 nor 1
    uniform = ((bits >> 9).float() + 0.5) * 2.0**-23
    return -torch.log(-torch.log(uniform))


def draw(logits: Tensor, keys: Tensor, temperature: Tensor, top_k: Tensor, *, limit: int) -> Tensor:
    """One code a row.

    logits [B, V] of any float type, keys [B] int64, temperature [B] float32 (0 = greedy), top_k [B] int64 of 1 to
    `limit`; returns [B] int64. `limit` is a property of the engine, since the shapes must not depend on a request.
    Equal best scores (fewer than `limit`) go to the lowest code, so that bfloat16's frequent ties do not depend on
    the kernel.
    """
    values, codes = torch.topk(logits.float(), min(limit, logits.shape[-1]), dim=-1)
    floor = values.gather(1, (top_k - 1).clamp(max=values.shape[1] - 1)[:, None])
    greedy = temperature[:, None] <= 0
    scores = values / temperature[:, None].masked_fill(greedy, 1.0)
    scores = scores + gumbel(keys, codes).masked_fill(greedy, 0.0)
    scores = scores.masked_fill(values < floor, float("-inf"))
    best = scores.amax(-1, keepdim=True)
    return codes.masked_fill(scores != best, logits.shape[-1]).amin(-1)
