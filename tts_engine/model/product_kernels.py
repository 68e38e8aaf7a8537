"""Triton products for a few rows: a weight matrix streamed once, with all that surrounds it in the same kernel.

At 1 to 32 rows a product is as fast as its weights come from memory; what costs is everything else. So a program owns
BN rows of the weights, reads them once in 16-byte loads, and norms its input before and gates, adds or scales after,
all in one kernel. Row r of a buffer is row r of the batch; buffers have ROWS rows, of which the last may be nobody's,
so no load is masked. Sums are in float32, in an order that depends on the tile alone and not on who else is in the
batch: SPLIT programs that share a tile leave their parts, and the last to arrive adds them up from first to last.

`AHEAD`: a program first asks for all its weights into the second-level cache. `NEAR`: it is launched while the kernel
before still runs (programmatic dependent launch), asks for its weights, which nobody writes, and only then waits for
what that kernel writes: so memory does not rest between kernels.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

import triton
import triton.language as tl

from tts_engine.model.depth_kernels import attend


@triton.jit
def ask_for(weight, row, column, K: tl.constexpr, BN: tl.constexpr, SPAN: tl.constexpr, THREADS: tl.constexpr):
    """Have rows `row` to `row` + BN of a matrix [*, K], columns `column` to + SPAN, brought to the second-level cache.

    A thread asks for one piece, of at least 16 bytes, within a row.
    """
    piece: tl.constexpr = BN * SPAN // THREADS
    at = tl.arange(0, THREADS) * piece
    where = weight + (row + at // SPAN) * K + column + at % SPAN
    size = tl.full((THREADS,), piece * weight.dtype.element_ty.primitive_bitwidth // 8, tl.int32)
    tl.inline_asm_elementwise(
        "cp.async.bulk.prefetch.L2.global [$1], $2; mov.u32 $0, 0;",
        "=r,l,r",
        [where.to(tl.int64), size],
        dtype=tl.int32,
        is_pure=False,
        pack=1,
    )


@triton.jit
def root_mean_square(x, eps, K: tl.constexpr, ROWS: tl.constexpr, AT_ONCE: tl.constexpr, CACHE: tl.constexpr):
    """1 / sqrt(mean of squares + eps) of rows [ROWS, K], float32 [ROWS]; AT_ONCE columns are under way together."""
    r = tl.arange(0, ROWS)
    squares = tl.zeros((ROWS, AT_ONCE), tl.float32)
    for k in tl.static_range(0, K, AT_ONCE):
        at = r[:, None] * K + (k + tl.arange(0, AT_ONCE))[None, :]
        a = tl.load(x + at, cache_modifier=CACHE).to(tl.float32)
        squares += a * a
    return tl.rsqrt(tl.sum(squares, 1) / K + eps)


@triton.jit
def _normed(a, size, gain, column):
    """Inputs [ROWS, BK] times their rows' scale and their columns' gain, rounded as the plain norm rounds."""
    return (a.to(tl.float32) * size[:, None] * tl.load(gain + column).to(tl.float32)[None, :]).to(a.dtype)


@triton.jit
def _dotted(
    x, gain, weight, second, eps, n, first_column,
    K: tl.constexpr, ROWS: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, SPAN: tl.constexpr,
    AT_ONCE: tl.constexpr, NORM: tl.constexpr, GATED: tl.constexpr, CACHE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Sums [BN, ROWS] on tensor cores; the loads of the loop are the compiler's to pipeline."""
    r = tl.arange(0, ROWS)
    total = tl.zeros((BN, ROWS), tl.float32)
    other = tl.zeros((BN, ROWS), tl.float32)
    kind: tl.constexpr = tl.float32 if WIDE else x.dtype.element_ty
    if NORM:
        size = root_mean_square(x, eps, K, ROWS, AT_ONCE, CACHE)
    for k in range(0, SPAN, BK):
        column = first_column + k + tl.arange(0, BK)
        a = tl.load(x + r[:, None] * K + column[None, :], cache_modifier=CACHE)
        if NORM:
            a = _normed(a, size, gain, column)
        turned = tl.trans(a.to(kind))
        at = n[:, None] * K + column[None, :]
        total = tl.dot(tl.load(weight + at).to(kind), turned, total, input_precision="ieee")
        if GATED:
            other = tl.dot(tl.load(second + at).to(kind), turned, other, input_precision="ieee")
    return total, other


@triton.jit
def _summed(
    x, gain, weight, second, eps, n, first_column,
    K: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, SPAN: tl.constexpr,
    NORM: tl.constexpr, GATED: tl.constexpr, CACHE: tl.constexpr,
):  # fmt: skip
    """Sums [BN, 1] of one row by multiplying; weights are loaded before the norm is known, and a step ahead."""
    total = tl.zeros((BN, BK), tl.float32)
    other = tl.zeros((BN, BK), tl.float32)
    at = n[:, None] * K + (first_column + tl.arange(0, BK))[None, :]
    w = tl.load(weight + at)
    u = tl.load(second + at) if GATED else w
    if NORM:
        size = root_mean_square(x, eps, K, 1, BK, CACHE)
    for k in tl.static_range(0, SPAN, BK):
        column = first_column + k + tl.arange(0, BK)
        a = tl.load(x + column, cache_modifier=CACHE)[None, :]
        if NORM:
            a = _normed(a, size, gain, column)
        wide, also = w, u
        if k + BK < SPAN:
            w = tl.load(weight + at + k + BK)
            u = tl.load(second + at + k + BK) if GATED else w
        total += wide.to(tl.float32) * a.to(tl.float32)
        if GATED:
            other += also.to(tl.float32) * a.to(tl.float32)
    return tl.sum(total, 1)[:, None], tl.sum(other, 1)[:, None]


@triton.jit
def product(
    tile, part, x, gain, weight, scale, out, parts, arrivals, eps,
    K: tl.constexpr, N: tl.constexpr, ROWS: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, SPLIT: tl.constexpr,
    AT_ONCE: tl.constexpr, NORM: tl.constexpr, GATED: tl.constexpr, ADD: tl.constexpr, SCALED: tl.constexpr,
    DOT: tl.constexpr,
    CACHE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Columns `tile` * BN to + BN of out [ROWS, N] = f(x [ROWS, K]) weight [N, K]^T, by part `part` of K.

    NORM: f is the RMS norm with `gain`. GATED: weight is [2 N, K] and out silu(first) * second. ADD: added to what
    is in out. SCALED: a row of weight, float8, counts `scale` [rows of weight] times. DOT: by the tensor cores; else
    multiplied and summed, for one row.
    """
    n = tile * BN + tl.arange(0, BN)
    r = tl.arange(0, ROWS)
    span: tl.constexpr = K // SPLIT
    second = weight + N * K
    if DOT:
        total, other = _dotted(
            x, gain, weight, second, eps, n, part * span, K, ROWS, BN, BK, span, AT_ONCE, NORM, GATED, CACHE, WIDE
        )
    else:
        total, other = _summed(x, gain, weight, second, eps, n, part * span, K, BN, BK, span, NORM, GATED, CACHE)
    if SCALED:
        total *= tl.load(scale + n)[:, None]
        if GATED:
            other *= tl.load(scale + N + n)[:, None]
    if SPLIT == 1:
        _leave(total, other, n, r, out, N, GATED, ADD, CACHE)
    else:
        at = n[:, None] + r[None, :] * N
        tl.store(parts + part * ROWS * N + at, total)
        tl.debug_barrier()  # all threads have stored before one says so
        before = tl.atomic_add(arrivals + tile, 1, sem="acq_rel", scope="gpu")
        if before == SPLIT - 1:
            total = tl.zeros((BN, ROWS), tl.float32)
            for one in tl.static_range(SPLIT):
                total += tl.load(parts + one * ROWS * N + at, cache_modifier=".cg")
            tl.store(arrivals + tile, 0)
            _leave(total, total, n, r, out, N, GATED, ADD, CACHE)


@triton.jit
def _leave(total, other, n, r, out, N: tl.constexpr, GATED: tl.constexpr, ADD: tl.constexpr, CACHE: tl.constexpr):
    """Round as a product by cuBLAS would, then gate or add, and store."""
    dtype = out.dtype.element_ty
    at = n[:, None] + r[None, :] * N
    value = total.to(dtype)
    if GATED:
        gate = value.to(tl.float32)
        active = (gate / (1.0 + tl.exp(-gate))).to(dtype)
        value = (active.to(tl.float32) * other.to(dtype).to(tl.float32)).to(dtype)
    if ADD:
        value = (tl.load(out + at, cache_modifier=CACHE).to(tl.float32) + value.to(tl.float32)).to(dtype)
    tl.store(out + at, value)


@triton.jit
def product_kernel(
    x, gain, weight, scale, out, parts, arrivals, eps,
    K: tl.constexpr, N: tl.constexpr, ROWS: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, SPLIT: tl.constexpr,
    AT_ONCE: tl.constexpr, NORM: tl.constexpr, GATED: tl.constexpr, ADD: tl.constexpr, SCALED: tl.constexpr,
    DOT: tl.constexpr,
    NEAR: tl.constexpr, AHEAD: tl.constexpr, THREADS: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """One program a tile and part."""
    tile, part = tl.program_id(0), tl.program_id(1)
    if NEAR:
        tl.extra.cuda.gdc_launch_dependents()
    if AHEAD:
        ask_for(weight, tile * BN, part * (K // SPLIT), K, BN, K // SPLIT, THREADS)
        if GATED:
            ask_for(weight, N + tile * BN, part * (K // SPLIT), K, BN, K // SPLIT, THREADS)
    if NEAR:
        tl.extra.cuda.gdc_wait()
    product(
        tile, part, x, gain, weight, scale, out, parts, arrivals, eps,
        K, N, ROWS, BN, BK, SPLIT, AT_ONCE, NORM, GATED, ADD, SCALED, DOT, "", WIDE,
    )  # fmt: skip


@triton.jit
def attend_out(
    tile, qkv, cache_k, cache_v, cos, sin, weight, out, position, scale,
    HEADS: tl.constexpr, GROUPS: tl.constexpr, D: tl.constexpr, SPAN: tl.constexpr, SEEN: tl.constexpr,
    BN: tl.constexpr, CACHE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Attention of one row, its output projection's columns `tile` * BN to + BN, and the residual in out.

    Every program attends for itself: at one row that is less than a launch. The first keeps key and value.
    """
    per: tl.constexpr = HEADS // GROUPS
    width: tl.constexpr = HEADS * D
    dtype = qkv.dtype.element_ty
    n = tile * BN + tl.arange(0, BN)
    h = tl.arange(0, 16)
    d = tl.arange(0, D)
    total = tl.zeros((BN,), tl.float32)
    for group in tl.static_range(GROUPS):
        at = n[:, None, None] * width + (group * per + h)[None, :, None] * D + d[None, None, :]
        w = tl.load(weight + at, mask=(h < per)[None, :, None], other=0.0)
        mixed = attend(
            0, group, tile == 0, qkv, cache_k, cache_v, cos, sin, position, (HEADS + 2 * GROUPS) * D, scale,
            HEADS, GROUPS, D, SPAN, SEEN, CACHE, WIDE,
        )  # fmt: skip
        total += tl.sum(tl.sum(w.to(tl.float32) * mixed.to(dtype).to(tl.float32)[None, :, :], 2), 1)
    old = tl.load(out + n, cache_modifier=CACHE).to(tl.float32)
    tl.store(out + n, (old + total.to(dtype).to(tl.float32)).to(dtype))


@triton.jit
def attend_out_kernel(
    qkv, cache_k, cache_v, cos, sin, weight, out, position, scale,
    HEADS: tl.constexpr, GROUPS: tl.constexpr, D: tl.constexpr, SPAN: tl.constexpr, SEEN: tl.constexpr,
    BN: tl.constexpr, NEAR: tl.constexpr, AHEAD: tl.constexpr, THREADS: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """One program a tile."""
    tile = tl.program_id(0)
    if NEAR:
        tl.extra.cuda.gdc_launch_dependents()
    if AHEAD:
        ask_for(weight, tile * BN, 0, HEADS * D, BN, HEADS * D, THREADS)
    if NEAR:
        tl.extra.cuda.gdc_wait()
    attend_out(
        tile, qkv, cache_k, cache_v, cos, sin, weight, out, position, scale,
        HEADS, GROUPS, D, SPAN, SEEN, BN, "", WIDE,
    )  # fmt: skip
