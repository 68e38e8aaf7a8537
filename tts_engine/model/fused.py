"""The depth decoder on a GPU: the same weights and draws as `depth_decoder`, in fused Triton kernels.

A pass through one layer is four matrix products by cuBLAS and four kernels of ours: residual and norm; rotation,
cache and attention over at most 32 positions; gated activation; and at the end of the pass the draw of a code with the
embedding that the next pass begins with. Exact top-k needs no sort: the k-th largest logit is found by bisection over
the bits of the floats. Everything has a static shape, so the whole frame is one CUDA graph. With `float8` the products
of the MLP, nine tenths of the arithmetic, are of 8-bit rows and weights.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# pyright: reportPrivateImportUsage=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

import torch
import torch.nn.functional as fn
import triton
import triton.language as tl
from torch import Tensor

from tts_engine.model.depth_decoder import DepthDecoder, Draws
from tts_engine.model.depth_kernels import INTERPRETED, attend_kernel, draw_kernel
from tts_engine.model.fp8 import FLOAT8, Scaled, scaled
from tts_engine.model.layers import LlamaLayer
from tts_engine.model.rope import rotations

_ALIGN = 64  # cuBLAS wants rows of 16 bytes, `small_depth` wants whole tiles; 2,051 logits are neither


@triton.jit
def _store_row(out, scales, row, cols, inside, value, N: tl.constexpr, FLOAT8: tl.constexpr):
    """Store a row as it is, or as 8-bit floats of which the largest is 448, with its scale."""
    if FLOAT8:
        wide = value.to(tl.float32)
        scale = tl.maximum(tl.max(tl.abs(wide), 0) / 448.0, 1e-30)
        tl.store(scales + row, scale)
        value = (wide / scale).to(tl.float8e4nv)
    tl.store(out + row * N + cols, value, mask=inside)


@triton.jit
def _add_norm_kernel(
    x, delta, part_stride, weight, out, scales, eps,
    N: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr, FLOAT8: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK)
    inside = cols < N
    value = tl.load(x + row * N + cols, mask=inside, other=0.0)
    if PARTS > 0:
        more = tl.load(delta + row * N + cols, mask=inside, other=0.0).to(tl.float32)
        for part in tl.static_range(1, PARTS):
            more += tl.load(delta + part * part_stride + row * N + cols, mask=inside, other=0.0).to(tl.float32)
        value = (value.to(tl.float32) + more.to(value.dtype).to(tl.float32)).to(value.dtype)
        tl.store(x + row * N + cols, value, mask=inside)
    wide = value.to(tl.float32)
    scale = tl.rsqrt(tl.sum(wide * wide, 0) / N + eps)
    normed = wide * scale * tl.load(weight + cols, mask=inside, other=0.0).to(tl.float32)
    _store_row(out, scales, row, cols, inside, normed.to(value.dtype), N, FLOAT8)


@triton.jit
def _gate_kernel(gate_up, out, scales, N: tl.constexpr, BLOCK: tl.constexpr, FLOAT8: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = cols < N
    gate = tl.load(gate_up + row * 2 * N + cols, mask=inside, other=0.0)
    up = tl.load(gate_up + row * 2 * N + N + cols, mask=inside, other=0.0)
    wide = gate.to(tl.float32)
    active = (wide / (1.0 + tl.exp(-wide))).to(gate.dtype)
    value = (active.to(tl.float32) * up.to(tl.float32)).to(gate.dtype)
    _store_row(out, scales, row, cols, inside, value, N, FLOAT8)


class FusedDepth:
    """Runs a `DepthDecoder`'s weights; to be made once they are loaded and projected, and again when they change.

    `down_parts`: products that the down projection is cut into, to be summed by the norm that follows. At 1,024 rows
    it has 64 tiles of 128 by 128 for 132 multiprocessors; in two parts it fills them.
    """

    def __init__(self, depth: DepthDecoder, *, max_batch: int, float8: bool = False, down_parts: int = 1) -> None:
        config = depth.config
        self.depth = depth
        size = depth.codebook_size
        self._width = -(-size // _ALIGN) * _ALIGN
        heads = depth.heads.transpose(1, 2)
        self.heads = fn.pad(heads, (0, 0, 0, self._width - size)).contiguous()
        layers = [layer for layer in depth.layers if isinstance(layer, LlamaLayer)]
        self._down_parts = down_parts
        self.float8 = [(scaled(layer.gate_up), scaled(layer.down)) for layer in layers] if float8 else None
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
        last = len(self.depth.layers) - 1
        for index, layer in enumerate(self.depth.layers):
            assert isinstance(layer, LlamaLayer)
            normed = _add_norm(x, delta, layer.attention_norm.weight, layer.attention_norm.eps)
            mixed = self._attend(fn.linear(normed, layer.qkv), index, start, layer)
            if index == last and x.shape[1] > 1:  # of the positions before, nothing but keys and values is asked for
                x, mixed = x[:, -1:].contiguous(), mixed[:, -1:].contiguous()
            delta = self._mlp(x, fn.linear(mixed, layer.out), index, layer)
        norm = self.depth.norm
        return _add_norm(x, delta, norm.weight, norm.eps)[:, -1]

    def _mlp(self, x: Tensor, delta: Tensor, index: int, layer: LlamaLayer) -> Tensor:
        """Add `delta` to x and return what the gated MLP makes of it."""
        norm = layer.mlp_norm
        if self.float8 is None:
            normed = _add_norm(x, delta, norm.weight, norm.eps)
            return _product_in_parts(_gate(fn.linear(normed, layer.gate_up)), layer.down, self._down_parts)
        gate_up, down = self.float8[index]
        normed = _add_norm_scaled(x, delta, norm.weight, norm.eps)
        return _product_scaled(_gate_scaled(_product_scaled(normed, gate_up, x)), down, x)

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
    """RMS norm of x [B, T, N] + delta, or the sum of its parts [parts, B * T, N]; x becomes the sum."""
    out = torch.empty_like(x)
    _launch_add_norm(x, delta, weight, eps, out, None)
    return out


def _add_norm_scaled(x: Tensor, delta: Tensor, weight: Tensor, eps: float) -> Scaled:
    """Do the same, into 8-bit rows [B * T, hidden]."""
    rows = x.shape[0] * x.shape[1]
    out = Scaled(
        torch.empty(rows, x.shape[2], dtype=FLOAT8, device=x.device),
        torch.empty(rows, dtype=torch.float32, device=x.device),
    )
    _launch_add_norm(x, delta, weight, eps, out.values, out.scale)
    return out


def _launch_add_norm(
    x: Tensor, delta: Tensor | None, weight: Tensor, eps: float, out: Tensor, scales: Tensor | None
) -> None:
    rows, width = x.shape[0] * x.shape[1], x.shape[2]
    _add_norm_kernel[(rows,)](
        x, x if delta is None else delta, rows * width, weight, out, x if scales is None else scales, eps, N=width,
        BLOCK=triton.next_power_of_2(width), PARTS=0 if delta is None else delta.numel() // (rows * width),
        FLOAT8=scales is not None, num_warps=4,
    )  # fmt: skip


def _product_in_parts(x: Tensor, weight: Tensor, parts: int) -> Tensor:
    """X [B, T, K] times weight [N, K]^T: as it is, or [parts, B * T, N], whose sum over the parts it is."""
    if parts == 1:
        return fn.linear(x, weight)
    cut = x.view(-1, parts, x.shape[-1] // parts).transpose(0, 1)
    return torch.bmm(cut, weight.view(weight.shape[0], parts, -1).permute(1, 2, 0))


def _gate(gate_up: Tensor) -> Tensor:
    width = gate_up.shape[-1] // 2
    out = torch.empty(*gate_up.shape[:-1], width, dtype=gate_up.dtype, device=gate_up.device)
    block = min(1024, triton.next_power_of_2(width))
    _gate_kernel[(gate_up.shape[0] * gate_up.shape[1], triton.cdiv(width, block))](
        gate_up, out, out, N=width, BLOCK=block, FLOAT8=False, num_warps=4
    )
    return out


def _gate_scaled(gate_up: Tensor) -> Scaled:
    """Do the same, a program a row, into 8-bit rows."""
    rows, width = gate_up.shape[0] * gate_up.shape[1], gate_up.shape[2] // 2
    values = torch.empty(rows, width, dtype=FLOAT8, device=gate_up.device)
    scale = torch.empty(rows, dtype=torch.float32, device=gate_up.device)
    _gate_kernel[(rows, 1)](
        gate_up, values, scale, N=width, BLOCK=triton.next_power_of_2(width), FLOAT8=True, num_warps=8
    )
    return Scaled(values, scale)


def _product_scaled(rows: Scaled, weight: Scaled, like: Tensor) -> Tensor:
    """[B, T, N] in the type and with the B and T of `like`: 8-bit products, scaled by row and channel after."""
    out = torch._scaled_mm(  # noqa: SLF001  # PyTorch's only way to 8-bit products
        rows.values,
        weight.values.t(),
        scale_a=rows.scale[:, None],
        scale_b=weight.scale[None],
        out_dtype=like.dtype,
        use_fast_accum=True,
    )
    return out.view(*like.shape[:2], -1)
