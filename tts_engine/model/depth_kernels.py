"""Triton kernels of a depth pass: attention over one frame's codebooks, and the draw.

`WIDE` multiplies in float32 and not on tensor cores: Triton's interpreter cannot multiply bfloat16, and of float32
tensor cores would keep 10 bits. What differs by codebook is not specialized on, so that a kernel is compiled once.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.runtime.interpreter import InterpretedFunction

from tts_engine.model.depth_decoder import DepthDecoder, Draws

DRAW_WARPS = 8
ATTEND_WARPS = 1


@triton.jit(do_not_specialize=["position"])
def attend_kernel(
    qkv, cache_k, cache_v, cos, sin, out, position, row_stride, scale,
    HEADS: tl.constexpr, GROUPS: tl.constexpr, D: tl.constexpr, SPAN: tl.constexpr, SEEN: tl.constexpr,
    WIDE: tl.constexpr, NEAR: tl.constexpr,
):  # fmt: skip
    """Attention of one row and group of heads a program; keeps key and value."""
    if NEAR:
        tl.extra.cuda.gdc_wait()
    row = tl.program_id(0).to(tl.int64)
    group = tl.program_id(1)
    per: tl.constexpr = HEADS // GROUPS
    half: tl.constexpr = D // 2
    d = tl.arange(0, D)
    partner = tl.where(d < half, d + half, d - half)
    c = tl.load(cos + position * D + d).to(tl.float32)
    s = tl.load(sin + position * D + d).to(tl.float32) * tl.where(d < half, -1.0, 1.0)
    base = qkv + row * row_stride
    dtype = qkv.dtype.element_ty
    kind: tl.constexpr = tl.float32 if WIDE else dtype

    h = tl.arange(0, 16)  # the tensor cores' least; rows past the group's heads are zeros
    real = (h < per)[:, None]
    at_query = base + (group * per + h)[:, None] * D
    query = tl.load(at_query + d[None, :], mask=real, other=0.0).to(tl.float32)
    turned = tl.load(at_query + partner[None, :], mask=real, other=0.0).to(tl.float32)
    query = (query * c[None, :] + turned * s[None, :]).to(dtype)

    at_key = base + (HEADS + group) * D
    key = tl.load(at_key + d).to(tl.float32) * c
    key = (key + tl.load(at_key + partner).to(tl.float32) * s).to(dtype)
    value = tl.load(base + (HEADS + GROUPS + group) * D + d)
    at_cache = (row * GROUPS + group) * SPAN * D
    tl.store(cache_k + at_cache + position * D + d, key)
    tl.store(cache_v + at_cache + position * D + d, value)

    p = tl.arange(0, SEEN)
    here = p[:, None] == position
    before = p[:, None] < position
    at = at_cache + p[:, None] * D + d[None, :]
    keys = tl.where(here, key[None, :], tl.load(cache_k + at, mask=before, other=0.0))
    values = tl.where(here, value[None, :], tl.load(cache_v + at, mask=before, other=0.0))
    scores = tl.dot(query.to(kind), tl.trans(keys.to(kind)), input_precision="ieee") * scale
    scores = tl.where((p <= position)[None, :], scores, float("-inf"))
    weights = tl.exp(scores - tl.max(scores, 1)[:, None])
    weights = (weights / tl.sum(weights, 1)[:, None]).to(dtype)
    mixed = tl.dot(weights.to(kind), values.to(kind), input_precision="ieee")
    at_out = out + row * HEADS * D + (group * per + h)[:, None] * D + d[None, :]
    tl.store(at_out, mixed.to(dtype), mask=real)


@triton.jit
def _mix(x):
    x = (x ^ (x >> 16)) * 0x21F0AAAD
    x = (x ^ (x >> 15)) * 0x735A2D97
    return x ^ (x >> 15)


@triton.jit(do_not_specialize=["offset"], do_not_specialize_on_alignment=["keys", "codes"])
def draw_kernel(
    logits, logit_stride, keys, key_stride, temperature, top_k, codes, code_stride, table, offset, out,
    V: tl.constexpr, WIDTH: tl.constexpr, N: tl.constexpr, BLOCK: tl.constexpr, SHIFT: tl.constexpr,
    EMBED: tl.constexpr, NEAR: tl.constexpr,
):  # fmt: skip
    """Draw a row's code, a program, as `sampling.draw` does; write the embedding that the next pass begins with.

    SHIFT: bits of a float32 that a logit of this type leaves zero; a threshold is found among the others. NEAR:
    whoever comes after may begin when this kernel has been let in, and no sooner, so that all of the pass before is
    done by then.
    """
    row = tl.program_id(0).to(tl.int64)
    v = tl.arange(0, WIDTH)
    inside = v < V
    wanted = tl.load(top_k + row).to(tl.int32)
    heat = tl.load(temperature + row)
    key = tl.load(keys + row * key_stride).to(tl.uint32)
    greedy = heat <= 0.0
    if NEAR:
        tl.extra.cuda.gdc_wait()
        tl.extra.cuda.gdc_launch_dependents()
    value = tl.load(logits + row * logit_stride + v, mask=inside, other=float("-inf"))
    # made while the logits are under way
    noise_bits = _mix(key ^ (v.to(tl.uint32) * 0x27D4EB2F))
    uniform = ((noise_bits >> 9).to(tl.float32) + 0.5) * 1.1920928955078125e-07
    gumbel = -tl.log(-tl.log(uniform))
    value = value.to(tl.float32)
    bits = value.to(tl.int32, bitcast=True)
    ordered = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits) >> SHIFT  # as integers in the order of the floats
    ordered = tl.where(inside, ordered, -0x80000000 >> SHIFT)
    low = tl.min(tl.where(inside, ordered, 0x7FFFFFFF), 0)
    high = tl.max(ordered, 0) + 1
    for _ in range(32 - SHIFT):  # the largest threshold that `wanted` logits reach
        middle = (low & high) + ((low ^ high) >> 1)
        enough = tl.sum((ordered >= middle).to(tl.int32), 0) >= wanted
        low = tl.where(enough, middle, low)
        high = tl.where(enough, high, middle)
    score = tl.where(greedy, value, value / tl.where(greedy, 1.0, heat) + gumbel)
    score = tl.where(inside & (ordered >= low), score, float("-inf"))
    best = tl.max(score, 0)
    code = tl.min(tl.where(score == best, v, WIDTH), 0)
    tl.store(codes + row * code_stride, code.to(tl.int64))
    if EMBED:
        n = tl.arange(0, BLOCK)
        embedded = tl.load(table + (code.to(tl.int64) + offset) * N + n, mask=n < N, other=0.0)
        tl.store(out + row * N + n, embedded, mask=n < N)


INTERPRETED = isinstance(draw_kernel, InterpretedFunction)
"""Kernels run on the processor, as tests have them (TRITON_INTERPRET=1)."""


def can_be_near(like: Tensor) -> bool:
    """Has the device programmatic dependent launch: from Hopper on."""
    return not INTERPRETED and torch.cuda.get_device_capability(like.device) >= (9, 0)


def nearness(near: bool) -> dict[str, Any]:
    """How a kernel is launched that may begin while the one before still runs, and waits for it by itself."""
    return {"NEAR": near, **({"launch_pdl": True} if near else {})}


def multiplies_wide(like: Tensor) -> bool:
    """What `WIDE` is to be for numbers of this type."""
    return INTERPRETED or like.dtype == torch.float32


def seen(position: int) -> int:
    """Positions that attention looks at: a power of two, so that two kernels serve all 32."""
    return max(16, triton.next_power_of_2(position + 1))


def launch_draw(
    depth: DepthDecoder, logits: Tensor, draws: Draws, codes: Tensor, codebook: int, out: Tensor, *, near: bool = False
) -> None:
    """Draw codes [B, codebooks] of a codebook from logits [B, width]; out [B, ..., hidden] becomes their embeddings."""
    assert draws.temperature.is_contiguous()
    assert draws.top_k.is_contiguous()
    draw_kernel[(logits.shape[0],)](
        logits, logits.stride(0), draws.keys[:, codebook], draws.keys.stride(0), draws.temperature, draws.top_k,
        codes[:, codebook], codes.stride(0), depth.projected, codebook * depth.codebook_size, out,
        V=depth.codebook_size, WIDTH=triton.next_power_of_2(depth.codebook_size),
        N=depth.config.hidden_size, BLOCK=triton.next_power_of_2(depth.config.hidden_size),
        SHIFT={torch.bfloat16: 16, torch.float16: 13}.get(logits.dtype, 0),
        EMBED=codebook + 1 < depth.num_codebooks, num_warps=DRAW_WARPS, **nearness(near),
    )  # fmt: skip
