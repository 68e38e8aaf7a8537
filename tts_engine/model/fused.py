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
from tts_engine.model.depth_kernels import INTERPRETED, attend_kernel, draw_kernel
from tts_engine.model.layers import LlamaLayer
from tts_engine.model.rope import rotations

_ALIGN = 64  # cuBLAS wants rows of 16 bytes, `small_depth` wants whole tiles; 2,051 logits are neither


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
def _gate_kernel(gate_up, out, N: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = cols < N
    gate = tl.load(gate_up + row * 2 * N + cols, mask=inside, other=0.0)
    up = tl.load(gate_up + row * 2 * N + N + cols, mask=inside, other=0.0)
    wide = gate.to(tl.float32)
    active = (wide / (1.0 + tl.exp(-wide))).to(gate.dtype)
    tl.store(out + row * N + cols, (active.to(tl.float32) * up.to(tl.float32)).to(gate.dtype), mask=inside)


class FusedDepth:
    """Runs a `DepthDecoder`'s weights; to be made once they are loaded and projected, and again when they change."""

    def __init__(self, depth: DepthDecoder, *, max_batch: int) -> None:
        config = depth.config
        self.depth = depth
        size = depth.codebook_size
        self._width = -(-size // _ALIGN) * _ALIGN
        heads = depth.heads.transpose(1, 2)
        self.heads = fn.pad(heads, (0, 0, 0, self._width - size)).contiguous()
        span = 1 << (depth.num_codebooks - 1).bit_length()
        shape = (config.num_layers, 2, max_batch, config.num_kv_heads, span, config.head_dim)
        self.cache = torch.zeros(shape, dtype=heads.dtype, device=heads.device)
        positions = torch.arange(depth.num_codebooks, device=heads.device)
        cos, sin = rotations(positions, depth.frequencies)
        self.cos, self.sin = cos.to(heads.dtype).contiguous(), sin.to(heads.dtype).contiguous()

    def __call__(self, hidden: Tensor, first: Tensor, draws: Draws) -> Tensor:
        """Codes [B, codebooks] int64 from backbone states [B, hidden] and codebook 0 [B] int64."""
        depth = self.depth
        batch = hidden.shape[0]
        codes = torch.empty(batch, depth.num_codebooks, dtype=torch.int64, device=hidden.device)
        codes[:, 0] = first
        x = torch.stack((fn.linear(hidden, depth.projector), depth.projected[first]), dim=1)
        last = self._stack(x, 0)
        for codebook in range(1, depth.num_codebooks):
            logits = fn.linear(last, self.heads[codebook - 1])
            more = codebook + 1 < depth.num_codebooks
            x = torch.empty(batch, 1, depth.config.hidden_size, dtype=hidden.dtype, device=hidden.device)
            draw_kernel[(batch,)](
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
        for index, layer in enumerate(self.depth.layers):
            assert isinstance(layer, LlamaLayer)
            normed = _add_norm(x, delta, layer.attention_norm.weight, layer.attention_norm.eps)
            mixed = self._attend(fn.linear(normed, layer.qkv), index, start, layer)
            normed = _add_norm(x, fn.linear(mixed, layer.out), layer.mlp_norm.weight, layer.mlp_norm.eps)
            delta = fn.linear(_gate(fn.linear(normed, layer.gate_up)), layer.down)
        norm = self.depth.norm
        return _add_norm(x, delta, norm.weight, norm.eps)[:, -1]

    def _attend(self, qkv: Tensor, index: int, start: int, layer: LlamaLayer) -> Tensor:
        batch, steps, _ = qkv.shape
        out = torch.empty(steps, batch, layer.heads * layer.head_dim, dtype=qkv.dtype, device=qkv.device)
        cache = self.cache[index]
        for step in range(steps):
            attend_kernel[(batch, layer.kv_heads)](
                qkv[:, step], cache[0], cache[1], self.cos, self.sin, out[step], start + step, qkv.stride(0),
                layer.head_dim**-0.5, HEADS=layer.heads, GROUPS=layer.kv_heads, D=layer.head_dim,
                SPAN=cache.shape[-2], SEEN=max(16, triton.next_power_of_2(start + step + 1)), WIDE=INTERPRETED,
                num_warps=2,
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
