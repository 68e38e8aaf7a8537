"""The backbone for the plain PyTorch engine: a Llama stack over slots, each with its own keys and values.

One method serves prefill, a chunk of it and batched decoding: rows are requests, `slots` says whose cache a row uses
and `start` where it stands. vLLM has its own backbone; only this file is not shared with it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tts_engine.model.config import TransformerConfig
from tts_engine.model.layers import Attend, LlamaLayer, RmsNorm, attention
from tts_engine.model.rope import inverse_frequencies, rotations


class KvCache:
    """Keys and values of `slots` requests of up to `positions`; one slot and one column more take what is padding."""

    def __init__(self, config: TransformerConfig, *, slots: int, positions: int, like: Tensor) -> None:
        shape = (config.num_layers, 2, slots + 1, config.num_kv_heads, positions + 1, config.head_dim)
        # zeros, since a masked key is still multiplied and NaN would survive that
        self.data = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.positions = positions


class Backbone(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(LlamaLayer(config) for _ in range(config.num_layers))
        self.norm = RmsNorm(config.hidden_size, config.norm_eps)
        self.register_buffer("frequencies", inverse_frequencies(config.head_dim, config.rope), persistent=False)
        self.frequencies: Tensor

    def forward(self, x: Tensor, cache: KvCache, slots: Tensor, start: Tensor, *, span: int) -> Tensor:
        """States [B, T, hidden] of embeddings x [B, T, hidden].

        slots [B] and start [B] int64: row b continues slot `slots[b]` at position `start[b]`. Rows shorter than T are
        padded on the right: what padding writes lies ahead of the row and is overwritten before it is attended to.
        `span`, from the host, bounds every position of the call: keys beyond it are not read.
        """
        positions = start[:, None] + torch.arange(x.shape[1], device=x.device)
        cos, sin = (angle.to(x.dtype)[:, None] for angle in rotations(positions, self.frequencies))
        mask = torch.arange(span, device=x.device) <= positions[..., None]
        columns = positions.clamp(max=cache.positions)
        for index, layer in enumerate(self.layers):
            x = layer(x, cos, sin, _keep(cache.data[index], slots, columns, mask))
        return self.norm(x)


def _keep(cache: Tensor, slots: Tensor, columns: Tensor, mask: Tensor) -> Attend:
    """Write to cache [2, slots, kv_heads, positions, d] at columns [B, T] and attends under mask [B, T, span]."""
    span = mask.shape[-1]
    keys, values = cache.unbind(0)

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        keys[slots[:, None], :, columns] = key.transpose(1, 2)
        values[slots[:, None], :, columns] = value.transpose(1, 2)
        return attention(query, keys[slots, :, :span], values[slots, :, :span], mask)

    return attend
