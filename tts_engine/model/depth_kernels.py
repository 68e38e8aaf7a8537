"""Triton parts of a depth pass that every batch size shares: attention over one frame's codebooks, and the draw.

Each part is a device function with a kernel around it: larger kernels call the same function, so that there is one
arithmetic. `CACHE` is "" where a kernel's input is from kernels before it, ".cg" (past the first-level cache, which
nobody keeps in step) where it is from other programs of the same kernel. `WIDE` multiplies in float32, which gives
the same sums: Triton's interpreter cannot multiply bfloat16.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

import triton
import triton.language as tl
from triton.runtime.interpreter import InterpretedFunction


@triton.jit
def attend(
    row, group, write, qkv, cache_k, cache_v, cos, sin, position, row_stride, scale,
    HEADS: tl.constexpr, GROUPS: tl.constexpr, D: tl.constexpr, SPAN: tl.constexpr, SEEN: tl.constexpr,
    CACHE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """What the heads of a group see, [16, D] float32, of which HEADS / GROUPS rows count; keeps key and value."""
    per: tl.constexpr = HEADS // GROUPS
    half: tl.constexpr = D // 2
    d = tl.arange(0, D)
    partner = tl.where(d < half, d + half, d - half)
    sign = tl.where(d < half, -1.0, 1.0)
    c = tl.load(cos + position * D + d).to(tl.float32)
    s = tl.load(sin + position * D + d).to(tl.float32) * sign
    base = qkv + row * row_stride
    dtype = qkv.dtype.element_ty

    h = tl.arange(0, 16)  # the tensor cores' least; rows past the group's heads are zeros
    real = (h < per)[:, None]
    at_query = base + (group * per + h)[:, None] * D
    query = tl.load(at_query + d[None, :], mask=real, other=0.0, cache_modifier=CACHE).to(tl.float32)
    turned = tl.load(at_query + partner[None, :], mask=real, other=0.0, cache_modifier=CACHE).to(tl.float32)
    query = (query * c[None, :] + turned * s[None, :]).to(dtype)

    at_key = base + (HEADS + group) * D
    key = tl.load(at_key + d, cache_modifier=CACHE).to(tl.float32) * c
    key = (key + tl.load(at_key + partner, cache_modifier=CACHE).to(tl.float32) * s).to(dtype)
    value = tl.load(base + (HEADS + GROUPS + group) * D + d, cache_modifier=CACHE)
    at_cache = (row * GROUPS + group) * SPAN * D
    if write:
        tl.store(cache_k + at_cache + position * D + d, key)
        tl.store(cache_v + at_cache + position * D + d, value)

    p = tl.arange(0, SEEN)
    here = p[:, None] == position
    before = p[:, None] < position
    at = at_cache + p[:, None] * D + d[None, :]
    keys = tl.load(cache_k + at, mask=before, other=0.0, cache_modifier=CACHE)
    keys = tl.where(here, key[None, :], keys)
    values = tl.load(cache_v + at, mask=before, other=0.0, cache_modifier=CACHE)
    values = tl.where(here, value[None, :], values)
    if WIDE:
        scores = tl.dot(query.to(tl.float32), tl.trans(keys.to(tl.float32)), input_precision="ieee") * scale
    else:
        scores = tl.dot(query, tl.trans(keys)) * scale
    scores = tl.where((p <= position)[None, :], scores, float("-inf"))
    weights = tl.exp(scores - tl.max(scores, 1)[:, None])
    weights = (weights / tl.sum(weights, 1)[:, None]).to(dtype)
    if WIDE:
        mixed = tl.dot(weights.to(tl.float32), values.to(tl.float32), input_precision="ieee")
    else:
        mixed = tl.dot(weights, values)
    return mixed


@triton.jit
def attend_kernel(
    qkv, cache_k, cache_v, cos, sin, out, position, row_stride, scale,
    HEADS: tl.constexpr, GROUPS: tl.constexpr, D: tl.constexpr, SPAN: tl.constexpr, SEEN: tl.constexpr,
    WIDE: tl.constexpr,
):  # fmt: skip
    """One program a row and group of heads."""
    row = tl.program_id(0).to(tl.int64)
    group = tl.program_id(1)
    mixed = attend(
        row, group, True, qkv, cache_k, cache_v, cos, sin, position, row_stride, scale,
        HEADS, GROUPS, D, SPAN, SEEN, "", WIDE,
    )  # fmt: skip
    per: tl.constexpr = HEADS // GROUPS
    h = tl.arange(0, 16)
    d = tl.arange(0, D)
    at = row * HEADS * D + (group * per + h)[:, None] * D + d[None, :]
    tl.store(out + at, mixed.to(qkv.dtype.element_ty), mask=(h < per)[:, None])


@triton.jit
def _mix(x):
    x = ((x ^ (x >> 16)) * 0x21F0AAAD) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x735A2D97) & 0xFFFFFFFF
    return x ^ (x >> 15)


@triton.jit
def draw(
    row, logits, logit_stride, keys, key_stride, temperature, top_k, codes, code_stride, table, offset, out,
    V: tl.constexpr, WIDTH: tl.constexpr, N: tl.constexpr, BLOCK: tl.constexpr, EMBED: tl.constexpr,
    CACHE: tl.constexpr,
):  # fmt: skip
    """Draw the code of a row as `sampling.draw` does, and write the embedding that the next pass begins with."""
    v = tl.arange(0, WIDTH)
    inside = v < V
    value = tl.load(logits + row * logit_stride + v, mask=inside, other=float("-inf"), cache_modifier=CACHE)
    value = value.to(tl.float32)
    bits = value.to(tl.int32, bitcast=True)
    ordered = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)  # as integers in the order of the floats
    ordered = tl.where(inside, ordered, -0x80000000)
    wanted = tl.load(top_k + row).to(tl.int32)
    low = tl.min(tl.where(inside, ordered, 0x7FFFFFFF), 0).to(tl.int64)
    high = tl.max(ordered, 0).to(tl.int64) + 1
    for _ in range(32):  # the largest threshold that `wanted` logits reach
        middle = (low + high) >> 1
        enough = tl.sum((ordered.to(tl.int64) >= middle).to(tl.int32), 0) >= wanted
        low = tl.where(enough, middle, low)
        high = tl.where(enough, high, middle)
    heat = tl.load(temperature + row)
    key = tl.load(keys + row * key_stride)
    noise_bits = _mix(key ^ ((v.to(tl.int64) * 0x27D4EB2F) & 0xFFFFFFFF))
    uniform = ((noise_bits >> 9).to(tl.float32) + 0.5) * 1.1920928955078125e-07
    gumbel = -tl.log(-tl.log(uniform))
    greedy = heat <= 0.0
    score = tl.where(greedy, value, value / tl.where(greedy, 1.0, heat) + gumbel)
    score = tl.where(inside & (ordered.to(tl.int64) >= low), score, float("-inf"))
    best = tl.max(score, 0)
    code = tl.min(tl.where(score == best, v, WIDTH), 0)
    tl.store(codes + row * code_stride, code.to(tl.int64))
    if EMBED:
        n = tl.arange(0, BLOCK)
        embedded = tl.load(table + (code.to(tl.int64) + offset) * N + n, mask=n < N, other=0.0)
        tl.store(out + row * N + n, embedded, mask=n < N)


@triton.jit
def draw_kernel(
    logits, logit_stride, keys, key_stride, temperature, top_k, codes, code_stride, table, offset, out,
    V: tl.constexpr, WIDTH: tl.constexpr, N: tl.constexpr, BLOCK: tl.constexpr, EMBED: tl.constexpr,
):  # fmt: skip
    """One program a row."""
    draw(
        tl.program_id(0).to(tl.int64), logits, logit_stride, keys, key_stride, temperature, top_k, codes, code_stride,
        table, offset, out, V, WIDTH, N, BLOCK, EMBED, "",
    )  # fmt: skip


INTERPRETED = isinstance(draw_kernel, InterpretedFunction)
"""Kernels run on the processor, as tests have them (TRITON_INTERPRET=1)."""
