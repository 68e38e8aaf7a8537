"""The streaming decoder: for each slot, frames of codes in, 1,920 samples a frame out, the same however they are cut.

Rows are slots: a call works on the first S slots, those not `active` keep their state, and `fresh` ones begin anew in
the same call. So there is no gathering of state, addresses never change and a reset costs no launch: a call of given
S and number of frames can be one CUDA graph.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tts_engine.model.config import MimiConfig
from tts_engine.model.layers import Attend, attention
from tts_engine.model.mimi.conv import CausalConv, StreamingConv, UpsampleChannels, UpsampleConv
from tts_engine.model.mimi.quantizer import SplitQuantizer
from tts_engine.model.mimi.transformer import MimiTransformer
from tts_engine.model.rope import rotations


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

    def forward(self, codes: Tensor, state: MimiState, *, active: Tensor, fresh: Tensor) -> Tensor:
        """Return samples [S, T * 1920] in -1..1 of codes [S, T, codebooks] for slots 0 to S - 1.

        active [S] bool: the slot's codes count; else its samples mean nothing and its state stays. fresh [S] bool:
        the slot begins anew with this call. T is at most the state's `max_frames`.
        """
        slots = codes.shape[0]
        assert codes.shape[1] <= state.max_frames, f"{codes.shape[1]} frames; this state takes {state.max_frames}"
        state.begin(slots, fresh)

        def conv(module: StreamingConv, x: Tensor) -> Tensor:
            return state.convolve(module, x, active)

        x = self.quantizer.decode(codes).to(state.dtype).transpose(1, 2)
        x = conv(self.upsample, x).transpose(1, 2)
        cos, sin, attend = state.attention(x.shape[1], active, self.transformer.frequencies)
        x = self.transformer(x, cos, sin, attend).transpose(1, 2)
        x = self._synthesise(x, conv)
        state.end(slots, active, positions=2 * codes.shape[1])
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
    """What streams carry, by slot: past inputs of the convolutions, a ring of keys and values, and the position.

    The ring holds the window and what one call adds (`max_frames`), so that a call writes before it attends and
    copies nothing: on an H100 the copy was 6.3 of 13.9 ms at 512 slots. A slot that is not active writes too, onto
    columns that nobody reads any more, and its position stays.
    """

    def __init__(self, decoder: MimiDecoder, *, slots: int, like: Tensor, max_frames: int = 125) -> None:
        config, device = decoder.config, like.device
        self.dtype, self.slots, self.window, self.max_frames = like.dtype, slots, config.window, max_frames
        self._places: dict[StreamingConv, slice] = {}
        width = 0
        for conv in decoder.convolutions():
            self._places[conv] = slice(width, width + conv.channels * conv.context)
            width += conv.channels * conv.context
        self._past = torch.zeros(slots, width, dtype=self.dtype, device=device)
        columns = -(-(config.window + 2 * max_frames) // 8) * 8  # aligned, for the matrix products
        # zeros, since a masked key is still multiplied and NaN would survive that
        shape = (config.num_layers, 2, slots, config.num_heads, columns, config.head_dim)
        self._ring = torch.zeros(shape, dtype=self.dtype, device=device)
        self._position = torch.zeros(slots, dtype=torch.int64, device=device)
        self._ring_index = torch.arange(columns, device=device)

    def begin(self, slots: int, fresh: Tensor) -> None:
        """Clear the fresh ones of the first `slots`; the ring needs no clearing, the position says what is in it."""
        self._past[:slots].masked_fill_(fresh[:, None], 0.0)
        self._position[:slots].masked_fill_(fresh, 0)

    def end(self, slots: int, active: Tensor, *, positions: int) -> None:
        self._position[:slots] += positions * active

    def convolve(self, conv: StreamingConv, x: Tensor, active: Tensor) -> Tensor:
        if not conv.context:
            return conv(x[..., :0], x)
        past = self._past[: x.shape[0], self._places[conv]].view(x.shape[0], conv.channels, conv.context)
        out = conv(past, x)
        recent = x[..., -conv.context :]
        if x.shape[-1] < conv.context:
            recent = torch.cat((past[..., x.shape[-1] :], x), dim=-1)
        past.copy_(torch.where(active[:, None, None], recent, past))
        return out

    def attention(
        self, steps: int, active: Tensor, frequencies: Tensor
    ) -> tuple[Tensor, Tensor, Callable[[int], Attend]]:
        """Angles of the next `steps` positions of each slot, and the way to attend to the window before them."""
        slots, columns = active.shape[0], self._ring_index.shape[0]
        start = self._position[:slots, None]
        new = start + torch.arange(steps, device=active.device)
        # column c holds the newest position so far that is c modulo the number of columns, if there is one yet
        last = start + steps - 1
        held = (last - (last - self._ring_index) % columns)[:, None]
        mask = (held <= new[..., None]) & (held > new[..., None] - self.window) & (held >= 0)
        where = (new % columns)[:, None, :, None]
        cos, sin = (angle.to(self.dtype)[:, None] for angle in rotations(new, frequencies))

        def layer(index: int) -> Attend:
            keys, values = self._ring[index, :, :slots]

            def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
                index = where.expand_as(key)
                keys.scatter_(2, index, key)
                values.scatter_(2, index, value)
                return attention(query, keys, values, mask)

            return attend

        return cos, sin, layer
