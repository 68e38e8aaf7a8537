"""The depth decoder for a few rows: `depth_decoder`'s weights and draws in four or five kernels a layer.

One row: norm, query, key and value | attention, output, residual | norm, gate and up, activation | down, residual.
More rows attend in a kernel of their own, as attending anew in every program would cost more than a launch. Rows are
padded to 16 or 32, so from 1 to 16 rows (`alone` off) a row's sums, and so its codes, are the same to the bit.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import torch
import triton
from torch import Tensor

from tts_engine.model.depth_decoder import Draws
from tts_engine.model.depth_kernels import INTERPRETED, attend_kernel, draw_kernel
from tts_engine.model.depth_options import MOST_SMALL, DepthOptions
from tts_engine.model.fp8 import Scaled, scaled
from tts_engine.model.fused import FusedDepth
from tts_engine.model.layers import LlamaLayer
from tts_engine.model.product_kernels import attend_out_kernel, product_kernel


class UnsupportedShapeError(ValueError):
    """These sizes cannot be cut into the kernels' tiles; the paths for any size remain."""


@dataclass(frozen=True, slots=True)
class Tile:
    """How a product is cut: BN rows and BK columns of the weights at a time, K in `parts`."""

    rows: int
    columns: int
    parts: int = 1
    warps: int = 4
    stages: int = 3

    def can_ask(self, weight: Tensor) -> bool:
        """Can each thread ask for a piece of a program's weights: of 16 bytes or a multiple, within a row."""
        span = weight.shape[1] // self.parts
        piece = self.rows * span // (32 * self.warps)
        return not INTERPRETED and piece * weight.element_size() % 16 == 0 and piece > 0 and span % piece == 0

    def fitted(self, n: int, k: int, *, least: int) -> Tile:
        """The nearest tile that divides weights [n, k]; raises UnsupportedShapeError if none does."""
        rows, parts = _power(n, self.rows), _power(k // 16, self.parts)
        columns = _power(k // parts, self.columns)
        if rows < least or columns < 16:
            raise UnsupportedShapeError(f"weights of {n} by {k} have no tile of {least} by 16")
        return replace(self, rows=rows, columns=columns, parts=parts)


def _power(number: int, most: int) -> int:
    """The largest power of two that divides the number and is at most `most`."""
    return min(number & -number, 1 << (most.bit_length() - 1))


@dataclass(frozen=True, slots=True)
class Tiles:
    """A tile for each product of a pass, chosen for H200's 132 multiprocessors: docs/benchmarks.md."""

    qkv: Tile
    out: Tile
    gate_up: Tile
    down: Tile
    head: Tile

    def fitted(self, fused: FusedDepth, *, least: int) -> Tiles:
        """These tiles for a decoder's sizes; raises UnsupportedShapeError if some cannot be cut."""
        config = fused.depth.config
        hidden, heads = config.hidden_size, config.num_heads * config.head_dim
        if config.num_heads // config.num_kv_heads > 16 or config.head_dim & (config.head_dim - 1):
            raise UnsupportedShapeError(f"{config.num_heads} heads of {config.head_dim} do not fit a tile of 16")
        return Tiles(
            qkv=self.qkv.fitted(heads + 2 * config.num_kv_heads * config.head_dim, hidden, least=least),
            out=self.out.fitted(hidden, heads, least=least),
            gate_up=replace(self.gate_up, parts=1).fitted(config.intermediate_size, hidden, least=least),
            down=self.down.fitted(hidden, config.intermediate_size, least=least),
            head=replace(self.head, parts=1).fitted(fused.heads.shape[1], hidden, least=least),
        )

    @property
    def narrowest(self) -> int:
        """Columns that suit all products, for a kernel that has one number for them."""
        return min(tile.columns for tile in (self.qkv, self.out, self.gate_up, self.down, self.head))

    def most_parts(self, fused: FusedDepth) -> int:
        """Numbers that the parts of a product leave behind, a row."""
        config = fused.depth.config
        width = (config.num_heads + 2 * config.num_kv_heads) * config.head_dim
        return max(self.qkv.parts * width, self.out.parts * config.hidden_size, self.down.parts * config.hidden_size)


ALONE = Tiles(
    qkv=Tile(4, 1024), out=Tile(4, 1024), gate_up=Tile(4, 1024), down=Tile(4, 1024), head=Tile(8, 1024)
)  # fmt: skip
"""One row, multiplied and summed."""

TOGETHER = Tiles(
    qkv=Tile(16, 128, stages=4),
    out=Tile(16, 128, parts=2, stages=4),
    gate_up=Tile(64, 64, stages=4),
    down=Tile(64, 128, parts=8, stages=4),
    head=Tile(16, 128, stages=4),
)
"""Rows padded to 16 or 32, on tensor cores."""


@dataclass(frozen=True, slots=True)
class KernelLayer:
    """One layer's weights as the kernels read them."""

    attention_gain: Tensor
    mlp_gain: Tensor
    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor
    gate_up_scale: Tensor
    down_scale: Tensor


def kernel_layers(fused: FusedDepth, *, float8: bool) -> list[KernelLayer]:
    """The layers' weights; they are shared with the decoder, and those in 8 bits with `fused` if it has them."""
    none = torch.zeros(1, device=fused.heads.device)
    found: list[KernelLayer] = []
    for index, module in enumerate(fused.depth.layers):
        layer = cast("LlamaLayer", module)
        assert layer.attention_norm.eps == layer.mlp_norm.eps == fused.depth.norm.eps
        gate_up, down = Scaled(layer.gate_up, none), Scaled(layer.down, none)
        if float8:
            gate_up, down = fused.float8[index] if fused.float8 else (scaled(layer.gate_up), scaled(layer.down))
        gains = layer.attention_norm.weight, layer.mlp_norm.weight
        weights = layer.qkv, layer.out, gate_up.values, down.values
        found.append(KernelLayer(*gains, *weights, gate_up.scale, down.scale))
    return found


class SmallDepth:
    """Shares cache, heads and angles with a `FusedDepth`; raises UnsupportedShapeError for sizes that do not fit."""

    def __init__(
        self, fused: FusedDepth, options: DepthOptions, *, alone: Tiles = ALONE, together: Tiles = TOGETHER
    ) -> None:
        depth, config = fused.depth, fused.depth.config
        self._fused, self._depth, self.options = fused, depth, options
        self._near = options.near and not INTERPRETED
        hidden, inner, heads = config.hidden_size, config.intermediate_size, config.num_heads * config.head_dim
        self._width = heads + 2 * config.num_kv_heads * config.head_dim
        self._logit_width = fused.heads.shape[1]
        self._alone, self._together = alone.fitted(fused, least=1), together.fitted(fused, least=16)
        self._projection = Tile(16, 128, stages=4).fitted(hidden, depth.projector.shape[1], least=16)
        like = fused.heads
        self._layers = kernel_layers(fused, float8=options.float8)
        rows = 3 * MOST_SMALL

        def buffer(*shape: int, dtype: torch.dtype = like.dtype) -> Tensor:
            return torch.zeros(*shape, dtype=dtype, device=like.device)

        self._state = buffer(MOST_SMALL, depth.projector.shape[1])
        self._first, self._x = buffer(rows, hidden), buffer(MOST_SMALL, hidden)
        self._qkv, self._mixed = buffer(rows, self._width), buffer(rows, heads)
        self._gated, self._logits = buffer(rows, inner), buffer(MOST_SMALL, self._logit_width)
        tiles = (self._alone.most_parts(fused), self._together.most_parts(fused))
        self._parts = buffer(2 * MOST_SMALL * max(tiles), dtype=torch.float32)
        self._arrivals = buffer(max(self._width, hidden, self._logit_width), dtype=torch.int32)
        self._no_scale = buffer(1, dtype=torch.float32)

    def __call__(self, hidden: Tensor, first: Tensor, draws: Draws) -> Tensor:
        """Codes [B, codebooks] int64 from backbone states [B, hidden] and codebook 0 [B] int64; B at most 32."""
        depth, batch = self._depth, hidden.shape[0]
        codes = torch.empty(batch, depth.num_codebooks, dtype=torch.int64, device=hidden.device)
        codes[:, 0] = first
        rows = 16 if batch <= 16 else MOST_SMALL
        self._state[:batch] = hidden
        start = self._first
        # what comes before may be a copy and no kernel: nothing to be near to
        self._product(self._state, depth.projector, start, rows, self._projection, apart=True)
        start[batch : 2 * batch] = depth.projected[first]
        alone = batch == 1 and self.options.alone
        self._stack(start, batch, 2 * rows, 0, 2, fuse=False)
        x, decode_rows = start[batch : batch + MOST_SMALL], 1 if alone else rows
        for codebook in range(1, depth.num_codebooks):
            self._head(x, decode_rows, codebook)
            more = codebook + 1 < depth.num_codebooks
            x = self._x
            draw_kernel[(batch,)](
                self._logits, self._logit_width, draws.keys[:, codebook], draws.keys.stride(0), draws.temperature,
                draws.top_k, codes[:, codebook], codes.stride(0), depth.projected, codebook * depth.codebook_size, x,
                V=depth.codebook_size, WIDTH=triton.next_power_of_2(depth.codebook_size),
                N=depth.config.hidden_size, BLOCK=triton.next_power_of_2(depth.config.hidden_size),
                EMBED=more, num_warps=8,
            )  # fmt: skip
            if more:
                self._stack(x, batch, decode_rows, codebook + 1, 1, fuse=alone)
        return codes

    def _stack(self, x: Tensor, batch: int, rows: int, start: int, steps: int, *, fuse: bool) -> None:
        """Turn x [rows, hidden] into its states: `steps` positions from `start`, each of `batch` rows."""
        tiles = self._alone if rows == 1 else self._together
        for index, layer in enumerate(self._layers):
            self._product(x, layer.qkv, self._qkv, rows, tiles.qkv, gain=layer.attention_gain)
            if fuse:
                self._attend_out(x, layer, index, start, tiles.out)
            else:
                for step in range(steps):
                    self._attend(index, batch, step * batch, start + step)
                self._product(self._mixed, layer.out, x, rows, tiles.out, add=True)
            self._product(
                x, layer.gate_up, self._gated, rows, tiles.gate_up,
                gain=layer.mlp_gain, gated=True, scale=layer.gate_up_scale,
            )  # fmt: skip
            self._product(self._gated, layer.down, x, rows, tiles.down, add=True, scale=layer.down_scale)

    def _head(self, x: Tensor, rows: int, codebook: int) -> None:
        tiles = self._alone if rows == 1 else self._together
        weight = self._fused.heads[codebook - 1]
        self._product(x, weight, self._logits, rows, tiles.head, gain=self._depth.norm.weight)

    def _product(  # noqa: PLR0913 - a product has that many sides
        self, x: Tensor, weight: Tensor, out: Tensor, rows: int, tile: Tile, *,
        gain: Tensor | None = None, gated: bool = False, add: bool = False, scale: Tensor | None = None,
        apart: bool = False,
    ) -> None:  # fmt: skip
        width = weight.shape[0] // (2 if gated else 1)
        near = self._near and not apart
        product_kernel[(width // tile.rows, tile.parts)](
            x, x if gain is None else gain, weight, self._no_scale if scale is None else scale, out, self._parts,
            self._arrivals, self._depth.norm.eps,
            K=weight.shape[1], N=width, ROWS=rows, BN=tile.rows, BK=tile.columns, SPLIT=tile.parts,
            AT_ONCE=columns_at_once(weight.shape[1], rows), NORM=gain is not None, GATED=gated, ADD=add,
            SCALED=weight.dtype == torch.float8_e4m3fn, DOT=rows > 1,
            NEAR=near, AHEAD=tile.can_ask(weight), THREADS=32 * tile.warps, WIDE=INTERPRETED,
            **_launch(tile, near=near),
        )  # fmt: skip

    def _attend(self, index: int, batch: int, row: int, position: int) -> None:
        config, cache = self._depth.config, self._fused.cache[index]
        attend_kernel[(batch, config.num_kv_heads)](
            self._qkv[row:], cache[0], cache[1], self._fused.cos, self._fused.sin, self._mixed[row:], position,
            self._width, config.head_dim**-0.5, HEADS=config.num_heads, GROUPS=config.num_kv_heads, D=config.head_dim,
            SPAN=cache.shape[-2], SEEN=_seen(position), WIDE=INTERPRETED, num_warps=2,
        )  # fmt: skip

    def _attend_out(self, x: Tensor, layer: KernelLayer, index: int, position: int, tile: Tile) -> None:
        config, cache = self._depth.config, self._fused.cache[index]
        attend_out_kernel[(config.hidden_size // tile.rows,)](
            self._qkv, cache[0], cache[1], self._fused.cos, self._fused.sin, layer.out, x, position,
            config.head_dim**-0.5, HEADS=config.num_heads, GROUPS=config.num_kv_heads, D=config.head_dim,
            SPAN=cache.shape[-2], SEEN=_seen(position), BN=tile.rows, NEAR=self._near,
            AHEAD=replace(tile, parts=1).can_ask(layer.out), THREADS=32 * tile.warps, WIDE=INTERPRETED,
            **_launch(tile, near=self._near),
        )  # fmt: skip


def columns_at_once(width: int, rows: int) -> int:
    """Columns of a norm's input that are loaded together: 32 KB, which the registers of a program hold."""
    return _power(width, 16384 // rows)


def _launch(tile: Tile, *, near: bool) -> dict[str, Any]:
    return {"num_warps": tile.warps, "num_stages": tile.stages, **({"launch_pdl": True} if near else {})}


def _seen(position: int) -> int:
    """Positions that a kernel looks at: a power of two, so that five kernels serve all 32."""
    return max(16, triton.next_power_of_2(position + 1))
