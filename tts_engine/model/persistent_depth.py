"""The depth decoder for a few rows as one kernel a frame: an experiment, see `frame_kernel`."""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as fn
import triton
from torch import Tensor

from tts_engine.model.depth_decoder import Draws
from tts_engine.model.depth_kernels import INTERPRETED
from tts_engine.model.depth_options import MOST_SMALL
from tts_engine.model.frame_kernel import frame_kernel
from tts_engine.model.fused import FusedDepth
from tts_engine.model.layers import LlamaLayer
from tts_engine.model.small_depth import (
    ALONE,
    TOGETHER,
    KernelLayer,
    Tiles,
    UnsupportedShapeError,
    columns_at_once,
    kernel_layers,
)

_WARPS = 8


class PersistentDepth:
    """Shares cache, heads and angles with a `FusedDepth`, whose layers become views of stacks, one a kind of weight."""

    def __init__(
        self, fused: FusedDepth, *, float8: bool = False, programs: int | None = None,
        alone: Tiles = ALONE, together: Tiles = TOGETHER,
    ) -> None:  # fmt: skip
        config = fused.depth.config
        if config.hidden_size & (config.hidden_size - 1):
            raise UnsupportedShapeError(f"a row of {config.hidden_size} is no power of two")
        self._fused, self._float8 = fused, float8
        self._alone, self._together = alone.fitted(fused, least=1), together.fitted(fused, least=16)
        self._stack(kernel_layers(fused, float8=float8))
        like, hidden, heads = fused.heads, config.hidden_size, config.num_heads * config.head_dim
        width = heads + 2 * config.num_kv_heads * config.head_dim

        def buffer(*shape: int, dtype: torch.dtype = like.dtype) -> Tensor:
            return torch.zeros(*shape, dtype=dtype, device=like.device)

        self._x = buffer(2 * MOST_SMALL, hidden)
        self._qkv, self._mixed = buffer(MOST_SMALL, width), buffer(MOST_SMALL, heads)
        self._gated, self._logits = buffer(MOST_SMALL, config.intermediate_size), buffer(MOST_SMALL, like.shape[1])
        tiles = (self._alone.most_parts(fused), self._together.most_parts(fused))
        self._parts = buffer(MOST_SMALL * max(tiles), dtype=torch.float32)
        self._arrivals = buffer(max(width, hidden, like.shape[1]), dtype=torch.int32)
        self._counter = buffer(1, dtype=torch.int32)
        self._programs = programs or (
            1 if INTERPRETED else torch.cuda.get_device_properties(like.device).multi_processor_count
        )

    def __call__(self, hidden: Tensor, first: Tensor, draws: Draws) -> Tensor:
        """Codes [B, codebooks] int64 from backbone states [B, hidden] and codebook 0 [B] int64; B at most 32."""
        fused, depth, config, batch = self._fused, self._fused.depth, self._fused.depth.config, hidden.shape[0]
        codes = torch.empty(batch, depth.num_codebooks, dtype=torch.int64, device=hidden.device)
        codes[:, 0] = first
        rows = 1 if batch == 1 else 16 if batch <= 16 else MOST_SMALL
        tiles = self._alone if batch == 1 else self._together
        self._x[:batch] = fn.linear(hidden, depth.projector)
        self._x[rows : rows + batch] = depth.projected[first]
        self._counter.zero_()
        at_once = columns_at_once(config.hidden_size, 4 * rows)  # a whole row would spill registers here
        frame_kernel[(self._programs,)](
            self._x, self._qkv, self._mixed, self._gated, self._logits, self._parts, self._arrivals, self._counter,
            self._gains, depth.norm.weight, self._w_qkv, self._w_out, self._w_gate_up, self._w_down, fused.heads,
            self._s_gate_up, self._s_down, fused.cache, fused.cos, fused.sin, draws.keys, draws.keys.stride(0),
            draws.temperature, draws.top_k, codes, depth.projected, depth.norm.eps, config.head_dim**-0.5, batch,
            fused.cache.shape[2],
            LAYERS=config.num_layers, CODEBOOKS=depth.num_codebooks, H=config.hidden_size,
            INNER=config.intermediate_size, HEADS=config.num_heads, GROUPS=config.num_kv_heads, D=config.head_dim,
            SPAN=fused.cache.shape[-2], V=depth.codebook_size, WIDTH=triton.next_power_of_2(depth.codebook_size),
            LOGITS=fused.heads.shape[1], ROWS=rows, BK=tiles.narrowest, AT_ONCE=at_once, BN_QKV=tiles.qkv.rows,
            SPLIT_QKV=tiles.qkv.parts, BN_OUT=tiles.out.rows, SPLIT_OUT=tiles.out.parts, BN_GATE=tiles.gate_up.rows,
            BN_DOWN=tiles.down.rows, SPLIT_DOWN=tiles.down.parts, BN_HEAD=tiles.head.rows, SCALED=self._float8,
            AHEAD=not INTERPRETED, THREADS=32 * _WARPS, WIDE=INTERPRETED, num_warps=_WARPS,
            **({} if INTERPRETED else {"launch_cooperative_grid": True, "num_stages": 3}),
        )  # fmt: skip
        return codes

    def _stack(self, layers: list[KernelLayer]) -> None:
        """Lay each kind of weight out by layer; the decoder's own become views, so that none is there twice."""
        self._gains = torch.stack([torch.stack((layer.attention_gain, layer.mlp_gain)) for layer in layers])
        self._w_qkv = torch.stack([layer.qkv for layer in layers])
        self._w_out = torch.stack([layer.out for layer in layers])
        self._w_gate_up, self._w_down = (
            torch.stack([layer.gate_up for layer in layers]), torch.stack([layer.down for layer in layers]),
        )  # fmt: skip
        self._s_gate_up = torch.stack([layer.gate_up_scale for layer in layers])
        self._s_down = torch.stack([layer.down_scale for layer in layers])
        for index, module in enumerate(self._fused.depth.layers):
            layer = cast("LlamaLayer", module)
            layer.qkv.data, layer.out.data = self._w_qkv[index], self._w_out[index]
            if not self._float8:
                layer.gate_up.data, layer.down.data = self._w_gate_up[index], self._w_down[index]
