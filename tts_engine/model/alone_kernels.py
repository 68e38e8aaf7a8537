"""Triton kernels for a single row: a weight matrix streamed once, with all that surrounds it in the same kernel.

At one row a product is as fast as its weights come from memory; what costs is everything else. So a program owns BN
rows of the weights, multiplies and sums without tensor cores (exact in float32), and norms its input, gates or adds in
the same kernel. The norm's scale is a number that every sum shares: it is applied to the sums, so that nothing waits
for it.

`NEAR`: a kernel is launched while the one before still runs (programmatic dependent launch), has its first BK columns
of weights, which nobody writes, under way into registers, and only then waits for what that kernel writes: so memory
does not rest between kernels. Registers, and not requests for the second-level cache: a request (UBLKPF) takes its
address from the registers that a warp shares, so the 32 threads of a warp ask one after another, 64 bytes each.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _add_both(a, b, c, d):
    return a + c, b + d


@triton.jit
def product_kernel(
    x, gain, weight, out, eps,
    K: tl.constexpr, N: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, NORM: tl.constexpr, GATED: tl.constexpr,
    ADD: tl.constexpr, PASSING: tl.constexpr, NEAR: tl.constexpr,
):  # fmt: skip
    """BN columns of out [N] = f(x [K]) weight [N, K]^T.

    NORM: f is the RMS norm with `gain`. GATED: weight is [2 N, K] and out silu(first) * second. ADD: added to what is
    in out. PASSING: the second-level cache need not keep the weights.
    """
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    column = tl.arange(0, BK)
    keep: tl.constexpr = "evict_first" if PASSING else ""
    at = weight + n[:, None] * K + column[None, :]
    if NEAR:
        tl.extra.cuda.gdc_launch_dependents()
    w = tl.load(at, eviction_policy=keep)
    u = tl.load(at + N * K, eviction_policy=keep) if GATED else w
    g = tl.load(gain + column) if NORM else column
    if NEAR:
        tl.extra.cuda.gdc_wait()
    total = tl.zeros((BN, BK), tl.float32)
    other = tl.zeros((BN, BK), tl.float32)
    squares = tl.zeros((BK,), tl.float32)
    for k in tl.static_range(0, K, BK):
        a = tl.load(x + k + column).to(tl.float32)
        if NORM:
            squares += a * a
            a *= g.to(tl.float32)
        first, second = w, u
        if k + BK < K:  # a step ahead
            w = tl.load(at + k + BK, eviction_policy=keep)
            u = tl.load(at + N * K + k + BK, eviction_policy=keep) if GATED else w
            g = tl.load(gain + k + BK + column) if NORM else column
        total += first.to(tl.float32) * a[None, :]
        if GATED:
            other += second.to(tl.float32) * a[None, :]
    dtype = out.dtype.element_ty
    scale = tl.rsqrt(tl.sum(squares, 0) / K + eps) if NORM else 1.0
    if GATED:  # rounded as products by cuBLAS would be, and then as a gate by itself
        gates, ups = tl.reduce((total, other), 1, _add_both)
        gate = (gates * scale).to(dtype).to(tl.float32)
        active = (gate / (1.0 + tl.exp(-gate))).to(dtype)
        value = (active.to(tl.float32) * (ups * scale).to(dtype).to(tl.float32)).to(dtype)
    else:
        value = (tl.sum(total, 1) * scale).to(dtype)
    if ADD:
        value = (tl.load(out + n).to(tl.float32) + value.to(tl.float32)).to(dtype)
    tl.store(out + n, value)


@triton.jit(do_not_specialize=["position"])
def attend_out_kernel(
    qkv, cache_k, cache_v, cos, sin, weight, out, position, scale,
    HEADS: tl.constexpr, GROUPS: tl.constexpr, D: tl.constexpr, SPAN: tl.constexpr, SEEN: tl.constexpr,
    BN: tl.constexpr, WIDE: tl.constexpr, NEAR: tl.constexpr,
):  # fmt: skip
    """Attention of one row, BN columns of its output projection, and the residual in out.

    Every program attends for itself: at one row that is less than a launch. All heads meet all keys in one product, and
    the keys of other groups are masked. Those of the positions before are read before the wait: the draw between two
    passes begins nothing early, so whoever wrote them is done. The new one is multiplied apart. The first program keeps
    new key and value.
    """
    width: tl.constexpr = HEADS * D
    per: tl.constexpr = HEADS // GROUPS
    half: tl.constexpr = D // 2
    rows: tl.constexpr = max(16, HEADS)  # the tensor cores' least; rows past the heads are zeros
    dtype = qkv.dtype.element_ty
    kind: tl.constexpr = tl.float32 if WIDE else dtype
    d = tl.arange(0, D)
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    if NEAR:
        tl.extra.cuda.gdc_launch_dependents()
    w = tl.load(weight + n[:, None] * width + tl.arange(0, width)[None, :])
    c = tl.load(cos + position * D + d).to(tl.float32)[None, :]
    s = tl.load(sin + position * D + d).to(tl.float32)[None, :] * tl.where(d < half, -1.0, 1.0)[None, :]
    place = tl.arange(0, GROUPS * SEEN)
    group, p = place // SEEN, place % SEEN
    at_cache = (group * SPAN + p)[:, None] * D + d[None, :]
    keys = tl.load(cache_k + at_cache, mask=(p < position)[:, None], other=0.0)
    values = tl.load(cache_v + at_cache, mask=(p < position)[:, None], other=0.0)
    if NEAR:
        tl.extra.cuda.gdc_wait()

    h = tl.arange(0, rows)
    partner = tl.where(d < half, d + half, d - half)
    real = (h < HEADS)[:, None]
    at_query = qkv + h[:, None] * D
    at_key = qkv + (HEADS + h // per)[:, None] * D
    query = tl.load(at_query + d[None, :], mask=real, other=0.0).to(tl.float32)
    turned_query = tl.load(at_query + partner[None, :], mask=real, other=0.0).to(tl.float32)
    key = tl.load(at_key + d[None, :], mask=real, other=0.0).to(tl.float32)
    turned_key = tl.load(at_key + partner[None, :], mask=real, other=0.0).to(tl.float32)
    value = tl.load(at_key + GROUPS * D + d[None, :], mask=real, other=0.0)
    query = (query * c + turned_query * s).to(dtype)
    key = (key * c + turned_key * s).to(dtype)
    if tl.program_id(0) == 0:
        at_new = (h // per * SPAN + position)[:, None] * D + d[None, :]
        first = real & (h % per == 0)[:, None]
        tl.store(cache_k + at_new, key, mask=first)
        tl.store(cache_v + at_new, value, mask=first)

    new = tl.sum(query.to(tl.float32) * key.to(tl.float32), 1) * scale
    scores = tl.dot(query.to(kind), tl.trans(keys.to(kind)), input_precision="ieee") * scale
    seen = (p < position)[None, :] & ((h // per)[:, None] == group[None, :])
    scores = tl.where(seen, scores, float("-inf"))
    most = tl.maximum(tl.max(scores, 1), new)
    shares, share = tl.exp(scores - most[:, None]), tl.exp(new - most)
    whole = tl.sum(shares, 1) + share
    shares, share = (shares / whole[:, None]).to(dtype), (share / whole).to(dtype).to(tl.float32)
    mixed = tl.dot(shares.to(kind), values.to(kind), input_precision="ieee")
    mixed = (mixed + share[:, None] * value.to(tl.float32)).to(dtype).to(tl.float32)
    mixed = tl.reshape(tl.sum(tl.reshape(mixed, (rows // HEADS, HEADS, D)), 0), (width,))
    total = tl.sum(w.to(tl.float32) * mixed[None, :], 1).to(dtype)
    tl.store(out + n, (tl.load(out + n).to(tl.float32) + total.to(tl.float32)).to(dtype))
