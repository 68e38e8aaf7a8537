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

from tts_engine.model import depth_kernels
from tts_engine.model.depth_decoder import DepthDecoder, Draws
from tts_engine.model.depth_kernels import attend_kernel, can_be_near, launch_draw, multiplies_wide, nearness, seen
from tts_engine.model.layers import LlamaLayer, RmsNorm
from tts_engine.model.rope import rotations

_ALIGN = 64  # cuBLAS wants rows of 16 bytes, `alone_depth` wants whole tiles; 2,051 logits are neither


@triton.jit
def _add_norm_kernel(
    x, delta, part_stride, weight, out, eps, N: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr,
    NEAR: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    inside = cols < N
    gain = tl.load(weight + cols, mask=inside, other=0.0).to(tl.float32)
    if NEAR:
        tl.extra.cuda.gdc_wait()
    value = tl.load(x + row * N + cols, mask=inside, other=0.0)
    if PARTS > 0:
        more = tl.load(delta + row * N + cols, mask=inside, other=0.0).to(tl.float32)
        for part in tl.static_range(1, PARTS):
            more += tl.load(delta + part * part_stride + row * N + cols, mask=inside, other=0.0).to(tl.float32)
        value = (value.to(tl.float32) + more.to(value.dtype).to(tl.float32)).to(value.dtype)
        tl.store(x + row * N + cols, value, mask=inside)
    wide = value.to(tl.float32)
    scale = tl.rsqrt(tl.sum(wide * wide, 0) / N + eps)
    normed = wide * scale * gain
    tl.store(out + row * N + cols, normed.to(value.dtype), mask=inside)


@triton.jit
def _gate_kernel(gate_up, out, N: tl.constexpr, BLOCK: tl.constexpr, NEAR: tl.constexpr):
    if NEAR:
        tl.extra.cuda.gdc_wait()
    row = tl.program_id(0).to(tl.int64)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = cols < N
    gate = tl.load(gate_up + row * 2 * N + cols, mask=inside, other=0.0)
    up = tl.load(gate_up + row * 2 * N + N + cols, mask=inside, other=0.0)
    wide = gate.to(tl.float32)
    active = (wide / (1.0 + tl.exp(-wide))).to(gate.dtype)
    tl.store(out + row * N + cols, (active.to(tl.float32) * up.to(tl.float32)).to(gate.dtype), mask=inside)


class FusedDepth:
    """Runs a `DepthDecoder`'s weights; to be made once they are loaded and projected, and again when they change.

    `near`: our kernels are launched before the product ahead has ended (programmatic dependent launch, from Hopper on).
    """

    def __init__(self, depth: DepthDecoder, *, max_batch: int, near: bool = False) -> None:
        config = depth.config
        self.depth, self._near = depth, near and can_be_near(depth.heads)
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
        logits = self.first_logits(hidden, first)
        for codebook in range(1, depth.num_codebooks):
            x = torch.empty(batch, 1, depth.config.hidden_size, dtype=hidden.dtype, device=hidden.device)
            launch_draw(depth, logits, draws, codes, codebook, x, near=self._near)
            if codebook + 1 < depth.num_codebooks:
                logits = fn.linear(self._stack(x, codebook + 1), self.heads[codebook])
        return codes

    def first_logits(self, hidden: Tensor, first: Tensor) -> Tensor:
        """Logits [B, width] of codebook 1 after the pass over the state and codebook 0, kept as positions 0 and 1."""
        x = torch.stack((fn.linear(hidden, self.depth.projector), self.depth.projected[first]), dim=1)
        return fn.linear(self._stack(x, 0), self.heads[0])

    def _stack(self, x: Tensor, start: int) -> Tensor:
        """States [B, hidden] of the last position of x [B, T, hidden], which begins at `start`; x is overwritten."""
        delta: Tensor | None = None
        last = len(self.depth.layers) - 1
        for index, layer in enumerate(self.depth.layers):
            assert isinstance(layer, LlamaLayer)
            normed = self._add_norm(x, delta, layer.attention_norm)
            mixed = self._attend(fn.linear(normed, layer.qkv), index, start, layer)
            if index == last and x.shape[1] > 1:  # of the positions before, nothing but keys and values is asked for
                x, mixed = x[:, -1:].contiguous(), mixed[:, -1:].contiguous()
            delta = self._mlp(x, fn.linear(mixed, layer.out), layer)
        return self._add_norm(x, delta, self.depth.norm)[:, -1]

    def _mlp(self, x: Tensor, delta: Tensor, layer: LlamaLayer) -> Tensor:
        """Add `delta` to x and return what the gated MLP makes of it."""
        normed = self._add_norm(x, delta, layer.mlp_norm)
        gated = self._gate(fn.linear(normed, layer.gate_up))
        return _product_in_parts(gated, layer.down, down_parts(gated.shape[0] * gated.shape[1], gated.shape[2]))

    def _attend(self, qkv: Tensor, index: int, start: int, layer: LlamaLayer) -> Tensor:
        batch, steps, _ = qkv.shape
        out = torch.empty(steps, batch, layer.heads * layer.head_dim, dtype=qkv.dtype, device=qkv.device)
        cache = self.cache[index]
        for step in range(steps):
            attend_kernel[(batch, layer.kv_heads)](
                qkv[:, step], cache[0], cache[1], self.cos, self.sin, out[step], start + step, qkv.stride(0),
                layer.head_dim**-0.5, HEADS=layer.heads, GROUPS=layer.kv_heads, D=layer.head_dim,
                SPAN=cache.shape[-2], SEEN=seen(start + step), WIDE=multiplies_wide(qkv),
                num_warps=depth_kernels.ATTEND_WARPS, **nearness(self._near),
            )  # fmt: skip
        return out[0][:, None] if steps == 1 else out.transpose(0, 1)

    def _add_norm(self, x: Tensor, delta: Tensor | None, norm: RmsNorm) -> Tensor:
        """RMS norm of x [B, T, N] + delta, or the sum of its parts [parts, B * T, N]; x becomes the sum."""
        out = torch.empty_like(x)
        rows, width = x.shape[0] * x.shape[1], x.shape[2]
        _add_norm_kernel[(rows,)](
            x, x if delta is None else delta, rows * width, norm.weight, out, norm.eps, N=width, num_warps=4,
            BLOCK=triton.next_power_of_2(width), PARTS=0 if delta is None else delta.numel() // (rows * width),
            **nearness(self._near),
        )  # fmt: skip
        return out

    def _gate(self, gate_up: Tensor) -> Tensor:
        width = gate_up.shape[-1] // 2
        out = torch.empty(*gate_up.shape[:-1], width, dtype=gate_up.dtype, device=gate_up.device)
        block = min(1024, triton.next_power_of_2(width))
        grid = (gate_up.shape[0] * gate_up.shape[1], triton.cdiv(width, block))
        _gate_kernel[grid](gate_up, out, N=width, BLOCK=block, num_warps=4, **nearness(self._near))
        return out


def down_parts(rows: int, width: int) -> int:
    """Products that the down projection of `width` inputs is cut into, to be summed by the norm that follows.

    Its 1,024 outputs are few tiles for 132 multiprocessors: on an H200 four parts take 3 to 7 % off a frame up to 512
    rows, two 1 % at 1,024 (docs/benchmarks.md); beyond, the tiles are many enough by themselves (not measured).
    """
    parts = 4 if rows <= 512 else 2 if rows <= 1024 else 1
    return parts if width % parts == 0 else 1


def _product_in_parts(x: Tensor, weight: Tensor, parts: int) -> Tensor:
    """X [B, T, K] times weight [N, K]^T: as it is, or [parts, B * T, N], whose sum over the parts it is."""
    if parts == 1:
        return fn.linear(x, weight)
    cut = x.view(-1, parts, x.shape[-1] // parts).transpose(0, 1)
    return torch.bmm(cut, weight.view(weight.shape[0], parts, -1).permute(1, 2, 0))
