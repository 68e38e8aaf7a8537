"""The depth decoder for exactly one row: `depth_decoder`'s weights and draws in four kernels a layer.

Norm, query, key and value | attention, output, residual | norm, gate and up, activation | down, residual. The first
pass, of two positions, is `fused`'s. Its rounding is not that of rows in a batch, so a stream that is alone for a
while may draw other codes than it would among others.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from tts_engine.model.alone_kernels import attend_out_kernel, product_kernel
from tts_engine.model.depth_decoder import Draws
from tts_engine.model.depth_kernels import can_be_near, launch_draw, multiplies_wide, nearness, seen
from tts_engine.model.fused import FusedDepth
from tts_engine.model.layers import LlamaLayer


class UnsupportedShapeError(ValueError):
    """These sizes cannot be cut into the kernels' tiles; the path for any size remains."""


@dataclass(frozen=True, slots=True)
class Tile:
    """What a program takes of a product's weights: so many rows, and of their columns so many at a time."""

    rows: int
    columns: int
    warps: int = 4

    def fitted(self, n: int, k: int) -> Tile:
        """The nearest tile that divides weights [n, k]; raises UnsupportedShapeError if none does."""
        rows, columns = _power(n, self.rows), _power(k, self.columns)
        if columns < 16:
            raise UnsupportedShapeError(f"weights of {n} by {k} have no tile 16 wide")
        return replace(self, rows=rows, columns=columns)


def _power(number: int, most: int) -> int:
    """The largest power of two that divides the number and is at most `most`."""
    return min(number & -number, 1 << (most.bit_length() - 1))


@dataclass(frozen=True, slots=True)
class Tiles:
    """A tile for each product of a pass."""

    qkv: Tile
    out: Tile
    gate_up: Tile
    down: Tile
    head: Tile

    def fitted(self, fused: FusedDepth) -> Tiles:
        """These tiles for a decoder's sizes; raises UnsupportedShapeError if some cannot be cut."""
        config = fused.depth.config
        hidden, heads, groups = config.hidden_size, config.num_heads, config.num_kv_heads
        if any(number & (number - 1) for number in (heads, groups, config.head_dim)):
            raise UnsupportedShapeError(f"{heads} heads of {config.head_dim} in {groups} groups are no powers of two")
        return Tiles(
            qkv=self.qkv.fitted((heads + 2 * groups) * config.head_dim, hidden),
            out=replace(self.out.fitted(hidden, heads * config.head_dim), columns=heads * config.head_dim),
            gate_up=self.gate_up.fitted(config.intermediate_size, hidden),
            down=self.down.fitted(hidden, config.intermediate_size),
            head=self.head.fitted(fused.heads.shape[1], hidden),
        )


TILES = Tiles(
    qkv=Tile(8, 1024, warps=8), out=Tile(8, 1024, warps=8), gate_up=Tile(4, 1024), down=Tile(4, 4096, warps=8),
    head=Tile(4, 1024),
)  # fmt: skip
"""For 132 multiprocessors: but for gate and up, all of a matrix is under way at once. See docs/benchmarks.md."""


class AloneDepth:
    """Shares cache, heads and angles with a `FusedDepth`; raises UnsupportedShapeError for sizes that do not fit.

    `near`: kernels overlap their neighbours (programmatic dependent launch, Hopper and later). `passing`: the MLP's
    weights, nine tenths of a pass, leave the second-level cache to attention's, which fit it.
    """

    def __init__(self, fused: FusedDepth, *, tiles: Tiles = TILES, near: bool = True, passing: bool = False) -> None:
        depth, config = fused.depth, fused.depth.config
        self._fused, self._depth = fused, depth
        self._tiles, self._near, self._passing = tiles.fitted(fused), near and can_be_near(fused.heads), passing
        self._layers = [cast("LlamaLayer", layer) for layer in depth.layers]
        width = (config.num_heads + 2 * config.num_kv_heads) * config.head_dim
        self._x, self._qkv, self._gated, self._logits = (
            torch.zeros(1, size, dtype=fused.heads.dtype, device=fused.heads.device)
            for size in (config.hidden_size, width, config.intermediate_size, fused.heads.shape[1])
        )

    def __call__(self, hidden: Tensor, first: Tensor, draws: Draws) -> Tensor:
        """Codes [1, codebooks] int64 from the backbone's state [1, hidden] and codebook 0 [1] int64."""
        depth, x, tiles = self._depth, self._x, self._tiles
        codes = torch.empty(1, depth.num_codebooks, dtype=torch.int64, device=hidden.device)
        codes[:, 0] = first
        logits = self._fused.first_logits(hidden, first)
        launch_draw(depth, logits, draws, codes, 1, x)  # what comes before may be no kernel: nothing to be near to
        for codebook in range(2, depth.num_codebooks):
            self._pass(x, codebook)
            head = self._fused.heads[codebook - 1]
            self._product(x, head, self._logits, tiles.head, gain=depth.norm.weight)
            launch_draw(depth, self._logits, draws, codes, codebook, x, near=self._near)
        return codes

    def _pass(self, x: Tensor, position: int) -> None:
        """Turn x [1, hidden] into its state after all layers, before the last norm."""
        tiles = self._tiles
        for index, layer in enumerate(self._layers):
            self._product(x, layer.qkv, self._qkv, tiles.qkv, gain=layer.attention_norm.weight)
            self._attend_out(x, layer.out, index, position)
            self._product(
                x, layer.gate_up, self._gated, tiles.gate_up,
                gain=layer.mlp_norm.weight, gated=True, passing=self._passing,
            )  # fmt: skip
            self._product(self._gated, layer.down, x, tiles.down, add=True, passing=self._passing)

    def _product(
        self, x: Tensor, weight: Tensor, out: Tensor, tile: Tile, *,
        gain: Tensor | None = None, gated: bool = False, add: bool = False, passing: bool = False,
    ) -> None:  # fmt: skip
        width = weight.shape[0] // (2 if gated else 1)
        product_kernel[(width // tile.rows,)](
            x, x if gain is None else gain, weight, out, self._depth.norm.eps,
            K=weight.shape[1], N=width, BN=tile.rows, BK=tile.columns, NORM=gain is not None, GATED=gated, ADD=add,
            PASSING=passing, num_warps=tile.warps, **nearness(self._near),
        )  # fmt: skip

    def _attend_out(self, x: Tensor, weight: Tensor, index: int, position: int) -> None:
        config, cache, tile = self._depth.config, self._fused.cache[index], self._tiles.out
        attend_out_kernel[(config.hidden_size // tile.rows,)](
            self._qkv, cache[0], cache[1], self._fused.cos, self._fused.sin, weight, x, position,
            config.head_dim**-0.5, HEADS=config.num_heads, GROUPS=config.num_kv_heads, D=config.head_dim,
            SPAN=cache.shape[-2], SEEN=seen(position), BN=tile.rows, WIDE=multiplies_wide(x),
            num_warps=tile.warps, **nearness(self._near),
        )  # fmt: skip
