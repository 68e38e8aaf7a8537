"""The streaming decoder: for each stream, frames of codes in, 1,920 samples a frame out, the same however they are cut.

A call works on one row a stream, whichever slots they have; rows that are not `active` leave their slot as it is, and
`fresh` ones begin anew in the same call. Shapes depend on the number of rows and frames alone, so a call of a size can
be one CUDA graph. What the convolutions carry is gathered once a call (40 KB a row); the ring of keys and values, a
hundred times that, is read where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tts_engine.model.config import MimiConfig
from tts_engine.model.mimi.conv import CausalConv, StreamingConv, UpsampleChannels, UpsampleConv
from tts_engine.model.mimi.quantizer import SplitQuantizer
from tts_engine.model.mimi.ring import Ring
from tts_engine.model.mimi.transformer import MimiTransformer


class Decode(Protocol):
    """A frame or more to samples; see `MimiDecoder.forward`."""

    def __call__(
        self, codes: Tensor, state: MimiState, /, *, slots: Tensor, active: Tensor, fresh: Tensor
    ) -> Tensor: ...


class ResidualBlock(nn.Module):
    def __init__(self, config: MimiConfig, channels: int, dilation: int) -> None:
        super().__init__()
        inner = channels // config.compress
        self.wide = CausalConv(channels, inner, config.residual_kernel_size, dilation=dilation)
        self.narrow = CausalConv(inner, channels, 1)


class MimiDecoder(nn.Module):
    """The weights; what a stream carries is in `MimiState`."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.config = config
        self.quantizer = SplitQuantizer(config)
        self.upsample = UpsampleChannels(config.hidden_size, 2, config.upsample_groups)
        self.transformer = MimiTransformer(config)
        channels = config.num_filters * 2 ** len(config.upsampling_ratios)
        self.first = CausalConv(config.hidden_size, channels, config.kernel_size)
        self.ups, self.blocks = nn.ModuleList(), nn.ModuleList()
        for ratio in config.upsampling_ratios:
            self.ups.append(UpsampleConv(channels, channels // 2, ratio))
            channels //= 2
            growth = (config.dilation_growth**n for n in range(config.num_residual_layers))
            self.blocks.append(nn.ModuleList(ResidualBlock(config, channels, dilation) for dilation in growth))
        self.last = CausalConv(channels, 1, config.last_kernel_size)

    def convolutions(self) -> list[StreamingConv]:
        """All that carry state, in an order that never changes."""
        return [module for module in self.modules() if isinstance(module, StreamingConv) and module.context]

    def forward(self, codes: Tensor, state: MimiState, *, slots: Tensor, active: Tensor, fresh: Tensor) -> Tensor:
        """Return samples [B, T * 1920] in -1..1 of codes [B, T, codebooks] for the streams in slots [B] int64.

        active [B] bool: the row's codes count; else its samples mean nothing and its slot stays. fresh [B] bool: the
        slot begins anew with this call. No two active rows share a slot. T is at most the state's `max_frames`.
        """
        assert codes.shape[1] <= state.max_frames, f"{codes.shape[1]} frames; this state takes {state.max_frames}"
        slots = slots.masked_fill(~active, state.scratch)  # what the others do goes nowhere
        past = state.past[slots].masked_fill_(fresh[:, None], 0.0)

        def conv(module: StreamingConv, x: Tensor) -> Tensor:
            return state.convolve(module, x, past)

        x = self.quantizer.decode(codes).to(state.dtype).transpose(1, 2)
        x = conv(self.upsample, x).transpose(1, 2)
        position = state.position[slots].masked_fill(fresh, 0)
        attend = state.ring.attend(slots, position, x.shape[1], self.transformer.frequencies)
        x = self.transformer(x, attend).transpose(1, 2)
        x = self._synthesise(x, conv)
        state.past[slots] = past
        state.position[slots] = position + 2 * codes.shape[1]
        return x[:, 0].float()

    def _synthesise(self, x: Tensor, conv: Callable[[StreamingConv, Tensor], Tensor]) -> Tensor:
        x = conv(self.first, x)
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            assert isinstance(up, UpsampleConv)
            assert isinstance(blocks, nn.ModuleList)
            x = conv(up, fn.elu(x))
            for block in blocks:
                assert isinstance(block, ResidualBlock)
                x = x + conv(block.narrow, fn.elu(conv(block.wide, fn.elu(x))))
        return conv(self.last, fn.elu(x))


class MimiState:
    """What streams carry, by slot [slots + 1, ...]: past inputs of the convolutions, keys and values, the position.

    The last slot takes what is to be dropped.
    """

    def __init__(self, decoder: MimiDecoder, *, slots: int, like: Tensor, max_frames: int = 125) -> None:
        config, device = decoder.config, like.device
        self.dtype, self.scratch, self.max_frames = like.dtype, slots, max_frames
        self._places: dict[StreamingConv, slice] = {}  # of [context, channels] each
        width = 0
        for conv in decoder.convolutions():
            self._places[conv] = slice(width, width + conv.channels * conv.context)
            width += conv.channels * conv.context
        self.past = torch.zeros(slots + 1, width, dtype=self.dtype, device=device)
        self.position = torch.zeros(slots + 1, dtype=torch.int64, device=device)
        self.ring = Ring(config, slots=slots + 1, like=like, steps_max=2 * max_frames)

    def place(self, conv: StreamingConv) -> int:
        """Where in a slot's `past` a convolution's [context, channels] begin."""
        return self._places[conv].start

    def convolve(self, conv: StreamingConv, x: Tensor, past: Tensor) -> Tensor:
        """Run one convolution over x [B, channels, T] after past [B, width], which is brought up to date in place."""
        if not conv.context:
            return conv(x[..., :0], x)
        mine = past[:, self._places[conv]].view(x.shape[0], conv.context, conv.channels).transpose(1, 2)
        out = conv(mine, x)
        recent = x[..., -conv.context :]
        if x.shape[-1] < conv.context:
            recent = torch.cat((mine[..., x.shape[-1] :], x), dim=-1)
        mine.copy_(recent)
        return out
