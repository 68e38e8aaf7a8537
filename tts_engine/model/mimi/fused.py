"""Attention of one frame (two positions) to a stream's ring, on a GPU: rotate, write, attend, in one kernel.

A program takes one head of one row and reads that slot's ring where it is. Sums are in float32 whatever the ring holds.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _turn(at, partner_at, c, s):
    """Rotate what stands at `at`; `partner_at` has the other channel of each pair."""
    return tl.load(at).to(tl.float32) * c + tl.load(partner_at).to(tl.float32) * s


@triton.jit
def _take_in(
    qkv, keys, values, ring, row, head, start, cos, sin, d,
    HEADS: tl.constexpr, COLUMNS: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    """Write the two new positions to the ring; their queries, and what was written of keys and values, in float32."""
    partner = tl.where(d < D // 2, d + D // 2, d - D // 2)
    sign = tl.where(d < D // 2, -1.0, 1.0)
    dtype = keys.dtype.element_ty

    first = qkv + (row * 6 * HEADS + head) * D  # [2, 3, HEADS, D] a row
    second = first + 3 * HEADS * D
    c0, s0 = tl.load(cos + row * 2 * D + d).to(tl.float32), tl.load(sin + row * 2 * D + d).to(tl.float32) * sign
    c1, s1 = tl.load(cos + row * 2 * D + D + d).to(tl.float32), tl.load(sin + row * 2 * D + D + d).to(tl.float32) * sign
    q0, q1 = _turn(first + d, first + partner, c0, s0), _turn(second + d, second + partner, c1, s1)
    k = HEADS * D
    k0 = _turn(first + k + d, first + k + partner, c0, s0).to(dtype)
    k1 = _turn(second + k + d, second + k + partner, c1, s1).to(dtype)
    v0, v1 = tl.load(first + 2 * k + d).to(dtype), tl.load(second + 2 * k + d).to(dtype)

    tl.store(keys + ring + start % COLUMNS * D + d, k0)
    tl.store(keys + ring + (start + 1) % COLUMNS * D + d, k1)
    tl.store(values + ring + start % COLUMNS * D + d, v0)
    tl.store(values + ring + (start + 1) % COLUMNS * D + d, v1)
    return q0, q1, k0.to(tl.float32), k1.to(tl.float32), v0.to(tl.float32), v1.to(tl.float32)


@triton.jit
def _ring_kernel(
    qkv, keys, values, slots, starts, cos, sin, out, scale, window,
    HEADS: tl.constexpr, COLUMNS: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    slot, start = tl.load(slots + row), tl.load(starts + row)
    d = tl.arange(0, D)
    dtype = keys.dtype.element_ty
    ring = (slot * HEADS + head) * COLUMNS * D
    # the two new positions from registers: the first sees itself, the second sees both
    q0, q1, k0, k1, v0, v1 = _take_in(
        qkv, keys, values, ring, row, head, start, cos, sin, d, HEADS=HEADS, COLUMNS=COLUMNS, D=D
    )
    top0 = tl.sum(q0 * k0, 0) * scale
    score10, score11 = tl.sum(q1 * k0, 0) * scale, tl.sum(q1 * k1, 0) * scale
    top1 = tl.maximum(score10, score11)
    share10, share11 = tl.exp(score10 - top1), tl.exp(score11 - top1)
    sum0, mixed0 = 1.0, v0
    sum1, mixed1 = share10 + share11, share10 * v0 + share11 * v1

    for at in tl.static_range(0, COLUMNS, BLOCK):
        column = at + tl.arange(0, BLOCK)
        # which position each column held before: the newest that is the column modulo their number
        held = start - 1 - (start - 1 - column + COLUMNS) % COLUMNS
        real = (column < COLUMNS) & (held >= 0)
        where = keys + ring + column[:, None] * D + d[None, :]
        key = tl.load(where, mask=real[:, None], other=0.0).to(tl.float32)
        value = tl.load(values + ring + column[:, None] * D + d[None, :], mask=real[:, None], other=0.0).to(tl.float32)
        seen0, seen1 = real & (held > start - window), real & (held > start + 1 - window)
        score0 = tl.where(seen0, tl.sum(key * q0[None, :], 1) * scale, float("-inf"))
        score1 = tl.where(seen1, tl.sum(key * q1[None, :], 1) * scale, float("-inf"))
        new0, new1 = tl.maximum(top0, tl.max(score0, 0)), tl.maximum(top1, tl.max(score1, 0))
        share0, share1 = tl.exp(score0 - new0), tl.exp(score1 - new1)
        old0, old1 = tl.exp(top0 - new0), tl.exp(top1 - new1)
        sum0, sum1 = sum0 * old0 + tl.sum(share0, 0), sum1 * old1 + tl.sum(share1, 0)
        mixed0 = mixed0 * old0 + tl.sum(share0[:, None] * value, 0)
        mixed1 = mixed1 * old1 + tl.sum(share1[:, None] * value, 0)
        top0, top1 = new0, new1

    to = out + row * 2 * HEADS * D + head * D + d
    tl.store(to, (mixed0 / sum0).to(dtype))
    tl.store(to + HEADS * D, (mixed1 / sum1).to(dtype))


@triton.jit
def _ring_dot_kernel(
    qkv, keys, values, slots, starts, cos, sin, out, scale, window,
    HEADS: tl.constexpr, COLUMNS: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """The same by tensor cores: the two queries are the first rows of the 16 that a product has at least."""
    row = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    slot, start = tl.load(slots + row), tl.load(starts + row)
    d = tl.arange(0, D)
    dtype = keys.dtype.element_ty
    ring = (slot * HEADS + head) * COLUMNS * D
    # the two new positions from registers: the first sees itself, the second sees both
    q0, q1, k0, k1, v0, v1 = _take_in(
        qkv, keys, values, ring, row, head, start, cos, sin, d, HEADS=HEADS, COLUMNS=COLUMNS, D=D
    )
    q0, q1 = q0 * scale, q1 * scale
    score0, score10, score11 = tl.sum(q0 * k0, 0), tl.sum(q1 * k0, 0), tl.sum(q1 * k1, 0)
    top1 = tl.maximum(score10, score11)
    share10, share11 = tl.exp(score10 - top1), tl.exp(score11 - top1)
    rows = tl.arange(0, 16)
    top = tl.where(rows == 0, score0, top1)
    total = tl.where(rows == 0, 1.0, share10 + share11)
    mixed = tl.where((rows == 0)[:, None], v0[None, :], (share10 * v0 + share11 * v1)[None, :])
    query = tl.where((rows == 0)[:, None], q0[None, :], q1[None, :]).to(dtype)

    for at in tl.range(0, COLUMNS, BLOCK, num_stages=STAGES):
        column = at + tl.arange(0, BLOCK)
        # which position each column held before: the newest that is the column modulo their number
        held = start - 1 - (start - 1 - column + COLUMNS) % COLUMNS
        real = (column < COLUMNS) & (held >= 0)
        key = tl.load(keys + ring + column[None, :] * D + d[:, None], mask=real[None, :], other=0.0)
        value = tl.load(values + ring + column[:, None] * D + d[None, :], mask=real[:, None], other=0.0)
        seen = real[None, :] & (held[None, :] > (start - window + rows)[:, None])
        score = tl.where(seen, tl.dot(query, key, input_precision="ieee"), float("-inf"))
        new = tl.maximum(top, tl.max(score, 1))
        share, old = tl.exp(score - new[:, None]), tl.exp(top - new)
        total = total * old + tl.sum(share, 1)
        mixed = tl.dot(share.to(dtype), value, mixed * old[:, None], input_precision="ieee")
        top = new

    to = out + row * 2 * HEADS * D + head * D + rows[:, None] * HEADS * D + d[None, :]
    tl.store(to, (mixed / total[:, None]).to(dtype), mask=(rows < 2)[:, None])


@dataclass(frozen=True, slots=True)
class RingTile:
    """Columns of the ring that a program takes at a time, how many such are under way, and its warps."""

    columns: int
    stages: int
    warps: int


RING_TILE: RingTile | None = RingTile(columns=64, stages=3, warps=4)
"""Of the products by tensor cores; None: none, see docs/benchmarks.md."""


def attend_frame(
    qkv: Tensor, ring: Tensor, slots: Tensor, start: Tensor, cos: Tensor, sin: Tensor, *, window: int
) -> Tensor:
    """[B, 2, heads * d] for queries, keys and values [B, 2, 3, heads, d] at positions start [B] and start + 1.

    ring [2, slots, heads, columns, d] takes the keys and values of the streams in slots [B]; cos and sin [B, 2, d].
    """
    batch, _, _, heads, width = qkv.shape
    columns = ring.shape[-2]
    out = torch.empty(batch, 2, heads * width, dtype=qkv.dtype, device=qkv.device)
    if RING_TILE is not None and width >= 16:
        tile = RING_TILE
        _ring_dot_kernel[(batch, heads)](
            qkv, ring[0], ring[1], slots, start, cos, sin, out, width**-0.5, window,
            HEADS=heads, COLUMNS=columns, D=width, BLOCK=tile.columns, STAGES=tile.stages, num_warps=tile.warps,
        )  # fmt: skip
        return out
    _ring_kernel[(batch, heads)](
        qkv, ring[0], ring[1], slots, start, cos, sin, out, width**-0.5, window,
        HEADS=heads, COLUMNS=columns, D=width, BLOCK=64, num_warps=4,
    )  # fmt: skip
    return out
