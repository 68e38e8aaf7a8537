"""Kernels of the codec's convolutions for one frame a row: activations [row, time, channels], sums in float32.

Rows and times are one dimension m = row * T + t. What comes before a row's first input is in `past` [rows, width], a
copy of what its slot carries from the frame before; what the next frame needs goes straight to `held` [slots, width].
Each convolution's part of that begins at `place` and is [context, channels].
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _elu(x):
    return tl.where(x > 0, x, tl.exp2(x * 1.4426950408889634) - 1.0)


@triton.jit
def codes_kernel(
    codes, tables, taps, past, held, slots, out, width, place,
    BOOKS: tl.constexpr, SIZE: tl.constexpr, C: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The sum of one row a codebook of tables [BOOKS * SIZE, C], and the two positions [2, C] that a frame becomes."""
    row = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, BLOCK)
    inside = c < C
    x = tl.zeros([BLOCK], tl.float32)
    for book in tl.static_range(BOOKS):
        code = tl.minimum(tl.load(codes + row * BOOKS + book), SIZE - 1)
        x += tl.load(tables + (book * SIZE + code) * C + c, mask=inside, other=0.0).to(tl.float32)
    x = x.to(out.dtype.element_ty)
    tl.store(held + tl.load(slots + row) * width + place + c, x, mask=inside)
    x = x.to(tl.float32)
    before = tl.load(past + row * width + place + c, mask=inside, other=0.0).to(tl.float32)
    for step in tl.static_range(2):
        now = tl.load(taps + step * C + c, mask=inside, other=0.0).to(tl.float32)
        later = tl.load(taps + (2 + step) * C + c, mask=inside, other=0.0).to(tl.float32)
        tl.store(out + (row * 2 + step) * C + c, x * now + before * later, mask=inside)


@triton.jit
def taps_kernel(
    x, past, held, slots, out, width, place,
    T: tl.constexpr, C: tl.constexpr, TAPS: tl.constexpr, DILATION: tl.constexpr, ELU: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """What a convolution multiplies, oldest first [m, TAPS, C]; with ELU x is yet to go through it, not so the past."""
    CONTEXT: tl.constexpr = (TAPS - 1) * DILATION
    m = tl.program_id(0).to(tl.int64)
    row, t = m // T, (m % T).to(tl.int32)
    c = tl.arange(0, BLOCK)
    inside = c < C
    carried = past + row * width + place + c
    mine = held + tl.load(slots + row) * width + place + c
    now = tl.load(x + m * C + c, mask=inside, other=0.0)
    if ELU:
        now = _elu(now.to(tl.float32)).to(now.dtype)
    tl.store(out + (m * TAPS + TAPS - 1) * C + c, now, mask=inside)
    for tap in tl.static_range(TAPS - 1):
        back = (TAPS - 1 - tap) * DILATION
        if t >= back:
            then = tl.load(x + (m - back) * C + c, mask=inside, other=0.0)
            if ELU:
                then = _elu(then.to(tl.float32)).to(then.dtype)
        else:
            then = tl.load(carried + (CONTEXT + t - back) * C, mask=inside, other=0.0)
        tl.store(out + (m * TAPS + tap) * C + c, then, mask=inside)
    if t >= T - CONTEXT:
        tl.store(mine + (t - (T - CONTEXT)) * C, now, mask=inside)
    if t == 0:
        for older in tl.static_range(CONTEXT - T):  # a frame is shorter than what is carried
            tl.store(mine + older * C, tl.load(carried + (older + T) * C, mask=inside, other=0.0), mask=inside)


@triton.jit
def up_kernel(
    x, past, held, slots, weight, bias, out, rows, width, place,
    T: tl.constexpr, C: tl.constexpr, N: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """[m, N] of x [m, C], which has been through ELU, and the input before it: weight [2 * C, N], the former first."""
    TILES: tl.constexpr = N // BN
    m = tl.program_id(0) // TILES * BM + tl.arange(0, BM)
    n = tl.program_id(0) % TILES * BN + tl.arange(0, BN)
    kk = tl.arange(0, BK)
    inside = m < rows
    m = tl.where(inside, m, 0)
    row, t = m // T, m % T
    pair = x + (m - 1) * C  # this input and the one before lie side by side
    carried = past + row * width + place
    acc = tl.zeros([BM, BN], tl.float32)
    for k in range(0, 2 * C, BK):
        at = tl.where((t > 0) | (k >= C), pair, carried)
        both = tl.load(at[:, None] + (k + kk)[None, :])
        acc = tl.dot(both, tl.load(weight + (k + kk)[:, None] * N + n[None, :]), acc, input_precision="ieee")
    acc += tl.load(bias + n).to(tl.float32)[None, :]
    tl.store(out + m[:, None] * N + n[None, :], acc.to(out.dtype.element_ty), mask=inside[:, None])
    if tl.program_id(0) % TILES == 0:
        final = inside & (t == T - 1)
        mine = held + tl.load(slots + row) * width + place
        for k in range(0, C, BK):
            newest = tl.load(x + m[:, None] * C + (k + kk)[None, :], mask=final[:, None], other=0.0)
            tl.store(mine[:, None] + (k + kk)[None, :], newest, mask=final[:, None])


@triton.jit
def block_kernel(
    x, past, held, slots, wide, wide_bias, narrow, narrow_bias, out, rows, width, place,
    T: tl.constexpr, C: tl.constexpr, INNER: tl.constexpr, TAPS: tl.constexpr, DILATION: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """A residual block and the ELU after it [m, C] of x [m, C]: wide [TAPS * C, INNER], narrow [INNER, C]."""
    CONTEXT: tl.constexpr = (TAPS - 1) * DILATION
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    kk, n = tl.arange(0, BK), tl.arange(0, INNER)
    inside = m < rows
    m = tl.where(inside, m, 0)
    row, t = m // T, m % T
    carried = past + row * width + place
    slot = tl.load(slots + row)
    mine = held + slot * width + place + (t - (T - CONTEXT)) * C
    dtype = x.dtype.element_ty
    acc = tl.zeros([BM, INNER], tl.float32)
    for k in range(0, C, BK):
        for tap in tl.static_range(TAPS):
            back = (TAPS - 1 - tap) * DILATION
            at = tl.where(t >= back, x + (m - back) * C, carried + (CONTEXT + t - back) * C)
            h = tl.load(at[:, None] + (k + kk)[None, :]).to(tl.float32)
            h = tl.where((t >= back)[:, None], _elu(h), h).to(dtype)
            w = tl.load(wide + (tap * C + k + kk)[:, None] * INNER + n[None, :])
            acc = tl.dot(h, w, acc, input_precision="ieee")
            if tap == TAPS - 1:
                tl.store(mine[:, None] + (k + kk)[None, :], h, mask=(inside & (t >= T - CONTEXT))[:, None])
    inner = _elu(acc + tl.load(wide_bias + n).to(tl.float32)[None, :]).to(dtype)
    for begin in tl.static_range(0, C, BN):
        c = begin + tl.arange(0, BN)
        y = tl.dot(inner, tl.load(narrow + n[:, None] * C + c[None, :]), input_precision="ieee")
        y += tl.load(narrow_bias + c).to(tl.float32)[None, :]
        y += tl.load(x + m[:, None] * C + c[None, :]).to(tl.float32)
        tl.store(out + m[:, None] * C + c[None, :], _elu(y).to(dtype), mask=inside[:, None])


@triton.jit
def _shown(pointers, begins, dtype):
    """What stands there, through ELU but where it is carried, which has been through it."""
    value = tl.load(pointers).to(tl.float32)
    return tl.where(begins[:, None], value, _elu(value)).to(dtype)


@triton.jit
def group_kernel(
    x, past, held, slots, wide, wide_bias, narrow, narrow_bias, last, out, groups, width, place, last_place,
    T: tl.constexpr, C: tl.constexpr, INNER: tl.constexpr, LAST: tl.constexpr, GROUP: tl.constexpr, BM: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """`block_kernel` of three taps for so few channels that the weights stay on the chip.

    A program takes groups of GROUP successive times side by side: it loads and ELUs each input once, and two more a
    group. With LAST the last convolution's three taps are in `last` [C, 16]: then instead of [m, C] what each position
    adds to the sample at its place and those after [3, m] float32, oldest tap first.
    """
    g = tl.program_id(0) * BM + tl.arange(0, BM)
    c, n = tl.arange(0, C), tl.arange(0, INNER)
    inside = g < groups
    g = tl.where(inside, g, 0)
    row, t = g // (T // GROUP), g % (T // GROUP) * GROUP
    begins, ends = t == 0, inside & (t == T - GROUP)
    dtype = x.dtype.element_ty
    at = x + g * GROUP * C
    carried = past + row * width + place
    slot = tl.load(slots + row)
    shape = n[:, None] * C + c[None, :]
    oldest = tl.load(wide + c[:, None] * INNER + n[None, :])
    older = tl.load(wide + C * INNER + c[:, None] * INNER + n[None, :])
    newest = tl.load(wide + 2 * C * INNER + c[:, None] * INNER + n[None, :])
    back = tl.load(narrow + shape)
    inner_bias, bias = tl.load(wide_bias + n).to(tl.float32), tl.load(narrow_bias + c).to(tl.float32)
    if LAST:
        tap = tl.arange(0, 16)
        gains = tl.load(last + c[:, None] * 16 + tap[None, :])
    h = _shown(tl.where(begins, carried, at - 2 * C)[:, None] + c[None, :], begins, dtype)
    soon = tl.dot(h, oldest, input_precision="ieee")  # what has come together for this time, and `later` for the next
    h = _shown(tl.where(begins, carried + C, at - C)[:, None] + c[None, :], begins, dtype)
    soon = tl.dot(h, older, soon, input_precision="ieee")
    later = tl.dot(h, oldest, input_precision="ieee")
    for step in tl.range(GROUP, num_stages=STAGES):
        raw = tl.load(at[:, None] + step * C + c[None, :])
        h = _elu(raw.to(tl.float32)).to(dtype)
        acc = tl.dot(h, newest, soon, input_precision="ieee")
        soon = tl.dot(h, older, later, input_precision="ieee")
        later = tl.dot(h, oldest, input_precision="ieee")
        inner = _elu(acc + inner_bias[None, :]).to(dtype)
        y = _elu(tl.dot(inner, back, input_precision="ieee") + bias[None, :] + raw.to(tl.float32))
        if step >= GROUP - 2:
            mine = held + slot * width + (step - (GROUP - 2)) * C
            tl.store(mine[:, None] + place + c[None, :], h, mask=ends[:, None])
            if LAST:
                tl.store(mine[:, None] + last_place + c[None, :], y.to(dtype), mask=ends[:, None])
        if LAST:
            shares = tl.dot(y.to(dtype), gains, input_precision="ieee")
            to = out + (g * GROUP + step)[:, None] + tap[None, :] * (groups * GROUP)
            tl.store(to, shares, mask=inside[:, None] & (tap < 3)[None, :])
        else:
            tl.store(out + (g * GROUP + step)[:, None] * C + c[None, :], y.to(dtype), mask=inside[:, None])


@triton.jit
def last_kernel(
    shares, past, last, bias, out, rows, width, place,
    T: tl.constexpr, C: tl.constexpr, TAPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Samples [m] of what each position adds to them [TAPS, m], and of the past inputs of a row's first ones."""
    row = tl.program_id(0)
    t = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = t < T
    c = tl.arange(0, C)
    sample = tl.zeros([BLOCK], tl.float32) + tl.load(bias).to(tl.float32)
    for tap in tl.static_range(TAPS):
        back = TAPS - 1 - tap
        sample += tl.load(shares + tap * rows + row * T + t - back, mask=inside & (t >= back), other=0.0)
    if tl.program_id(1) == 0:
        for at in tl.static_range(TAPS - 1):  # past input `at` stands TAPS - 1 - at before the first
            before = tl.load(past + row * width + place + at * C + c).to(tl.float32)
            for tap in tl.static_range(at + 1):
                share = tl.sum(before * tl.load(last + tap * C + c).to(tl.float32), 0)
                sample += tl.where(t == at - tap, share, 0.0)
    tl.store(out + row * T + t, sample, mask=inside)
