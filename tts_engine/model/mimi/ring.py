"""The window of keys and values that a stream's transformer attends to, as a ring by slot.

The ring holds the window and what one call adds, so that a call writes before it attends and copies nothing: on an
H100 the copy was 6.3 of 13.9 ms at 512 slots. Which column holds which position follows from the position alone, so a
stream that begins anew clears nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from tts_engine.model.config import MimiConfig
from tts_engine.model.layers import attention
from tts_engine.model.rope import rotate, rotations

AttendAll: TypeAlias = Callable[[int, Tensor], Tensor]
"""(layer, queries, keys and values [B, T, 3, heads, d], not yet rotated) to [B, T, heads * d]."""


def in_one_kernel(device: torch.device, *, steps: int, head_dim: int) -> bool:
    """Whether `fused` attends: on a GPU, for one frame, to heads of a width that Triton can range over: 2**n."""
    return device.type == "cuda" and steps == 2 and not head_dim & (head_dim - 1)


class Ring:
    """Keys and values [layers, 2, slots, heads, columns, d]."""

    def __init__(self, config: MimiConfig, *, slots: int, like: Tensor, steps_max: int) -> None:
        self.window = config.window
        columns = -(-(config.window + steps_max) // 8) * 8  # aligned, for the matrix products
        # zeros, since a masked key is still multiplied and NaN would survive that
        shape = (config.num_layers, 2, slots, config.num_heads, columns, config.head_dim)
        self.held = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self._columns = torch.arange(columns, device=like.device)

    def attend(self, slots: Tensor, start: Tensor, steps: int, frequencies: Tensor) -> AttendAll:
        """Return the way to attend for `steps` positions from start [B] of the streams in slots [B]."""
        new = start[:, None] + torch.arange(steps, device=start.device)
        cos, sin = (angle.to(self.held.dtype) for angle in rotations(new, frequencies))
        if in_one_kernel(self.held.device, steps=steps, head_dim=self.held.shape[-1]):
            from tts_engine.model.mimi.fused import attend_frame  # noqa: PLC0415  # Triton comes with CUDA builds only

            return lambda layer, qkv: attend_frame(qkv, self.held[layer], slots, start, cos, sin, window=self.window)
        columns = self.held.shape[-2]
        # column c holds the newest position so far that is c modulo the number of columns, if there is one yet
        last = start[:, None] + steps - 1
        held = (last - (last - self._columns) % columns)[:, None]
        mask = (held <= new[..., None]) & (held > new[..., None] - self.window) & (held >= 0)
        rows, where = slots[:, None], new % columns

        def attend(layer: int, qkv: Tensor) -> Tensor:
            query, key, value = qkv.transpose(1, 3).unbind(2)
            query, key = (rotate(x, cos[:, None], sin[:, None]) for x in (query, key))
            keys, values = self.held[layer]
            keys[rows, :, where] = key.transpose(1, 2)
            values[rows, :, where] = value.transpose(1, 2)
            return attention(query, keys[slots], values[slots], mask)

        return attend
