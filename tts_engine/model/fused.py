"""The depth decoder on a GPU: the same weights and draws as `depth_decoder`, in fused Triton kernels.

A pass through one layer is four matrix products by cuBLAS and four kernels of ours: residual and norm; rotation,
cache and attention over at most 32 positions; gated activation; and at the end of the pass the draw of a code with the
embedding that the next pass begins with. Exact top-k needs no sort: the k-th largest logit is found by bisection over
the bits of the floats. Everything has a static shape, so the whole frame is one CUDA graph.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

import torch
import torch.nn.functional as fn
import triton
import triton.language as tl
from torch import Tensor

from tts_engine.model.depth_decoder import DepthDecoder, Draws
from tts_engine.model.layers import LlamaLayer
from tts_engine.model.rope import rotations

_ALIGN = 8  # cuBLAS wants the last dimension of a product aligned to 16 bytes; 2,051 logits are not


@triton.jit
def _add_norm_kernel(x, delta, weight, out, eps, N: tl.constexpr, BLOCK: tl.constexpr, ADD: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    inside = cols < N
    value = tl.load(x + row * N + cols, mask=inside, other=0.0)
    if ADD:
        more = tl.load(delta + row * N + cols, mask=inside, other=0.0)
        value = (value.to(tl.float32) + more.to(tl.float32)).to(value.dtype)
        tl.store(x + row * N + cols, value, mask=inside)
    wide = value.to(tl.float32)
    scale = tl.rsqrt(tl.sum(wide * wide, 0) / N + eps)
    normed = wide * scale * tl.load(weight + cols, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * N + cols, normed.to(value.dtype), mask=inside)


@triton.jit
def _attend_kernel(
    qkv, cache_k, cache_v, cos, sin, out, position, row_stride, scale,
    HEADS: tl.constexpr, GROUPS: tl.constexpr, D: tl.constexpr, SPAN: tl.constexpr, SEEN: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    group = tl.program_id(1)
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
    query = tl.load(at_query + d[None, :], mask=real, other=0.0).to(tl.float32)
    turned = tl.load(at_query + partner[None, :], mask=real, other=0.0).to(tl.float32)
    query = (query * c[None, :] + turned * s[None, :]).to(dtype)

    at_key = base + (HEADS + group) * D
    key = tl.load(at_key + d).to(tl.float32) * c + tl.load(at_key + partner).to(tl.float32) * s
    key = key.to(dtype)
    value = tl.load(base + (HEADS + GROUPS + group) * D + d)
    at_cache = (row * GROUPS + group) * SPAN * D
    tl.store(cache_k + at_cache + position * D + d, key)
    tl.store(cache_v + at_cache + position * D + d, value)

    p = tl.arange(0, SEEN)
    here = p[:, None] == position
    before = p[:, None] < position
    keys = tl.load(cache_k + at_cache + p[:, None] * D + d[None, :], mask=before, other=0.0)
    keys = tl.where(here, key[None, :], keys)
    values = tl.load(cache_v + at_cache + p[:, None] * D + d[None, :], mask=before, other=0.0)
    values = tl.where(here, value[None, :], values)
    scores = tl.dot(query, tl.trans(keys)) * scale
    scores = tl.where((p <= position)[None, :], scores, float("-inf"))
    weights = tl.exp(scores - tl.max(scores, 1)[:, None])
    weights = (weights / tl.sum(weights, 1)[:, None]).to(dtype)
    mixed = tl.dot(weights, values).to(dtype)
    tl.store(out + row * HEADS * D + (group * per + h)[:, None] * D + d[None, :], mixed, mask=real)


@triton.jit
def _gate_kernel(gate_up, out, N: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = cols < N
    gate = tl.load(gate_up + row * 2 * N + cols, mask=inside, other=0.0)
    up = tl.load(gate_up + row * 2 * N + N + cols, mask=inside, other=0.0)
    wide = gate.to(tl.float32)
    active = (wide / (1.0 + tl.exp(-wide))).to(gate.dtype)
    tl.store(out + row * N + cols, (active.to(tl.float32) * up.to(tl.float32)).to(gate.dtype), mask=inside)


@triton.jit
def _mix(x):
    x = ((x ^ (x >> 16)) * 0x21F0AAAD) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x735A2D97) & 0xFFFFFFFF
    return x ^ (x >> 15)


@triton.jit
def _draw_kernel(
    logits, logit_stride, keys, key_stride, temperature, top_k, codes, code_stride, table, offset, out,
    V: tl.constexpr, WIDTH: tl.constexpr, N: tl.constexpr, BLOCK: tl.constexpr, EMBED: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    v = tl.arange(0, WIDTH)
    inside = v < V
    value = tl.load(logits + row * logit_stride + v, mask=inside, other=float("-inf")).to(tl.float32)
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


class FusedDepth:
    """Runs a `DepthDecoder`'s weights; to be made once they are loaded and projected, and again when they change."""

    def __init__(self, depth: DepthDecoder, *, max_batch: int) -> None:
        config = depth.config
        self._depth = depth
        size = depth.codebook_size
        self._width = -(-size // _ALIGN) * _ALIGN
        heads = depth.heads.transpose(1, 2)
        self._heads = fn.pad(heads, (0, 0, 0, self._width - size)).contiguous()
        span = 1 << (depth.num_codebooks - 1).bit_length()
        shape = (config.num_layers, 2, max_batch, config.num_kv_heads, span, config.head_dim)
        self._cache = torch.zeros(shape, dtype=heads.dtype, device=heads.device)
        positions = torch.arange(depth.num_codebooks, device=heads.device)
        cos, sin = rotations(positions, depth.frequencies)
        self._cos, self._sin = cos.to(heads.dtype).contiguous(), sin.to(heads.dtype).contiguous()

    def __call__(self, hidden: Tensor, first: Tensor, draws: Draws) -> Tensor:
        """Codes [B, codebooks] int64 from backbone states [B, hidden] and codebook 0 [B] int64."""
        depth = self._depth
        batch = hidden.shape[0]
        codes = torch.empty(batch, depth.num_codebooks, dtype=torch.int64, device=hidden.device)
        codes[:, 0] = first
        x = torch.stack((fn.linear(hidden, depth.projector), depth.projected[first]), dim=1)
        last = self._stack(x, 0)
        for codebook in range(1, depth.num_codebooks):
            logits = fn.linear(last, self._heads[codebook - 1])
            more = codebook + 1 < depth.num_codebooks
            x = torch.empty(batch, 1, depth.config.hidden_size, dtype=hidden.dtype, device=hidden.device)
            _draw_kernel[(batch,)](
                logits, self._width, draws.keys[:, codebook], draws.keys.stride(0), draws.temperature, draws.top_k,
                codes[:, codebook], codes.stride(0), depth.projected, codebook * depth.codebook_size, x,
                V=depth.codebook_size, WIDTH=triton.next_power_of_2(depth.codebook_size),
                N=depth.config.hidden_size, BLOCK=triton.next_power_of_2(depth.config.hidden_size),
                EMBED=more, num_warps=8,
            )  # fmt: skip
            if more:
                last = self._stack(x, codebook + 1)
        return codes

    def _stack(self, x: Tensor, start: int) -> Tensor:
        """States [B, hidden] of the last position of x [B, T, hidden], which begins at `start`; x is overwritten."""
        delta: Tensor | None = None
        for index, layer in enumerate(self._depth.layers):
            assert isinstance(layer, LlamaLayer)
            normed = _add_norm(x, delta, layer.attention_norm.weight, layer.attention_norm.eps)
            mixed = self._attend(fn.linear(normed, layer.qkv), index, start, layer)
            normed = _add_norm(x, fn.linear(mixed, layer.out), layer.mlp_norm.weight, layer.mlp_norm.eps)
            delta = fn.linear(_gate(fn.linear(normed, layer.gate_up)), layer.down)
        norm = self._depth.norm
        return _add_norm(x, delta, norm.weight, norm.eps)[:, -1]

    def _attend(self, qkv: Tensor, index: int, start: int, layer: LlamaLayer) -> Tensor:
        batch, steps, _ = qkv.shape
        out = torch.empty(steps, batch, layer.heads * layer.head_dim, dtype=qkv.dtype, device=qkv.device)
        cache = self._cache[index]
        for step in range(steps):
            _attend_kernel[(batch, layer.kv_heads)](
                qkv[:, step], cache[0], cache[1], self._cos, self._sin, out[step], start + step, qkv.stride(0),
                layer.head_dim**-0.5, HEADS=layer.heads, GROUPS=layer.kv_heads, D=layer.head_dim,
                SPAN=cache.shape[-2], SEEN=max(16, triton.next_power_of_2(start + step + 1)), num_warps=2,
            )  # fmt: skip
        return out[0][:, None] if steps == 1 else out.transpose(0, 1)


def _add_norm(x: Tensor, delta: Tensor | None, weight: Tensor, eps: float) -> Tensor:
    """RMS norm of x + delta; the sum is written to x, which is contiguous, as delta is."""
    out = torch.empty_like(x)
    rows, width = x.shape[0] * x.shape[1], x.shape[2]
    other = x if delta is None else delta
    _add_norm_kernel[(rows,)](
        x, other, weight, out, eps, N=width, BLOCK=triton.next_power_of_2(width), ADD=delta is not None, num_warps=4
    )
    return out


def _gate(gate_up: Tensor) -> Tensor:
    width = gate_up.shape[-1] // 2
    out = torch.empty(*gate_up.shape[:-1], width, dtype=gate_up.dtype, device=gate_up.device)
    block = min(1024, triton.next_power_of_2(width))
    _gate_kernel[(gate_up.shape[0] * gate_up.shape[1], triton.cdiv(width, block))](
        gate_up, out, N=width, BLOCK=block, num_warps=4
    )
    return out
