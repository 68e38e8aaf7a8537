"""One frame of the codec for a batch of rows on a GPU: `decoder`'s weights and state, in kernels of its own.

A stream may be decoded by this and by `MimiDecoder` by turns. Everything has a static shape, so that a size of batch
is one CUDA graph; nothing waits for the device.
"""

# pyright: basic, reportMissingImports=false, reportArgumentType=false, reportIndexIssue=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

from functools import partial
from typing import cast

import torch
import torch.nn.functional as fn
import triton
from torch import Tensor

from tts_engine.model.mimi.decoder import MimiDecoder, MimiState
from tts_engine.model.mimi.quantizer import ResidualQuantizer
from tts_engine.model.mimi.ring import AttendAll
from tts_engine.model.mimi.seanet import Carried, Seanet, Ways
from tts_engine.model.mimi.seanet_kernels import codes_kernel
from tts_engine.model.mimi.transformer import MimiLayer


class WholeFrame:
    """Called as `MimiDecoder` is; to be made once its weights are loaded, and again when they change.

    Raises UnsupportedCodecError for a codec that it has no kernels for.
    """

    def __init__(self, decoder: MimiDecoder, ways: Ways | None = None) -> None:
        self.decoder, self.config = decoder, decoder.config
        self.seanet = Seanet(decoder, ways)
        quantizer = decoder.quantizer
        self._tables = torch.cat((_projected(quantizer.semantic), _projected(quantizer.acoustic)))
        self._taps = decoder.upsample.weight[:, 0].t().contiguous()  # [now 0, now 1, later 0, later 1; channels]
        self._layers = [_Layer(cast("MimiLayer", layer)) for layer in decoder.transformer.layers]

    def __call__(self, codes: Tensor, state: MimiState, *, slots: Tensor, active: Tensor, fresh: Tensor) -> Tensor:
        """Samples [B, 1920] float32 of codes [B, 1, codebooks]; see `MimiDecoder.forward`."""
        slots = slots.masked_fill(~active, state.scratch)  # what the others do goes nowhere
        carried = Carried(state.past[slots].masked_fill_(fresh[:, None], 0.0), state, slots)
        x = self.positions(codes, carried)
        start = state.position[slots].masked_fill(fresh, 0)
        x = self.transform(x, state.ring.attend(slots, start, 2, self.decoder.transformer.frequencies))
        state.position[slots] = start + 2
        return self.seanet(x, carried)

    def positions(self, codes: Tensor, carried: Carried) -> Tensor:
        """What goes into the transformer [B, 2, hidden]."""
        batch, frames, books = codes.shape
        assert frames == 1, f"{frames} frames; this path has one"
        upsample = self.decoder.upsample
        x = torch.empty(batch, 2, upsample.channels, dtype=self._tables.dtype, device=codes.device)
        codes_kernel[(batch,)](
            codes.contiguous(), self._tables, self._taps, *carried.arguments(), x, carried.past.shape[1],
            carried.state.place(upsample), BOOKS=books, SIZE=self.config.codebook_size, C=upsample.channels,
            BLOCK=triton.next_power_of_2(upsample.channels), num_warps=4,
        )  # fmt: skip
        return x

    def transform(self, x: Tensor, attend: AttendAll) -> Tensor:
        """The transformer; x [B, 2, hidden] is overwritten."""
        for index, layer in enumerate(self._layers):
            layer(x, partial(attend, index))
        return x


class _Layer:
    """A layer whose scales are in its weights, and whose sums are the products' own."""

    def __init__(self, layer: MimiLayer) -> None:
        self._layer = layer
        self._out = (layer.attention_scale[:, None] * layer.out).t().contiguous()
        self._down = (layer.mlp_scale[:, None] * layer.down).t().contiguous()

    def __call__(self, x: Tensor, attend: partial[Tensor]) -> None:
        """X [B, T, hidden] becomes what the layer makes of it."""
        layer, (batch, steps, hidden) = self._layer, x.shape
        flat = x.view(-1, hidden)
        scale, bias = layer.attention_norm
        normed = fn.layer_norm(flat, (hidden,), scale, bias, layer.eps)
        qkv = fn.linear(normed, layer.qkv).view(batch, steps, 3, layer.heads, layer.head_dim)
        flat.addmm_(attend(qkv).view(-1, layer.heads * layer.head_dim), self._out)
        scale, bias = layer.mlp_norm
        normed = fn.layer_norm(flat, (hidden,), scale, bias, layer.eps)
        flat.addmm_(fn.gelu(fn.linear(normed, layer.up)), self._down)


def _projected(quantizer: ResidualQuantizer) -> Tensor:
    """The tables behind their projection [count * size, hidden]: what each code adds."""
    return (quantizer.tables.float() @ quantizer.output.float().t()).to(quantizer.tables.dtype)
