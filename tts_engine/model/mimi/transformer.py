"""Mimi's transformer: layer norms, scaled residuals, and attention to the last 250 positions only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.nn.functional as fn
from torch import Tensor, nn

from tts_engine.model.config import MimiConfig
from tts_engine.model.layers import weight
from tts_engine.model.rope import inverse_frequencies


class MimiLayer(nn.Module):
    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.heads, self.head_dim, self.eps = config.num_heads, config.head_dim, config.norm_eps
        hidden, inner = config.hidden_size, config.num_heads * config.head_dim
        self.attention_norm = nn.ParameterList([weight(hidden), weight(hidden)])
        self.qkv = weight(3 * inner, hidden)
        self.out = weight(hidden, inner)
        self.attention_scale = weight(hidden)
        self.mlp_norm = nn.ParameterList([weight(hidden), weight(hidden)])
        self.up = weight(config.intermediate_size, hidden)
        self.down = weight(hidden, config.intermediate_size)
        self.mlp_scale = weight(hidden)

    def forward(self, x: Tensor, attend: Callable[[Tensor], Tensor]) -> Tensor:
        """X [B, T, hidden]; `attend` takes queries, keys and values [B, T, 3, heads, d] to [B, T, heads * d]."""
        batch, steps, hidden = x.shape
        scale, bias = self.attention_norm
        normed = fn.layer_norm(x, (hidden,), scale, bias, self.eps)
        mixed = attend(fn.linear(normed, self.qkv).view(batch, steps, 3, self.heads, self.head_dim))
        x = x + self.attention_scale * fn.linear(mixed, self.out)
        scale, bias = self.mlp_norm
        normed = fn.layer_norm(x, (hidden,), scale, bias, self.eps)
        return x + self.mlp_scale * fn.linear(fn.gelu(fn.linear(normed, self.up)), self.down)


class MimiTransformer(nn.Module):
    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MimiLayer(config) for _ in range(config.num_layers))
        self.register_buffer("frequencies", inverse_frequencies(config.head_dim, config.rope), persistent=False)
        self.frequencies: Tensor

    def forward(self, x: Tensor, attend: Callable[[int, Tensor], Tensor]) -> Tensor:
        """X [B, T, hidden]; `attend(n, ...)` is layer n's way to keep keys and values and to attend."""
        for index, layer in enumerate(self.layers):
            x = layer(x, partial(attend, index))
        return x
