"""Mimi's transformer: layer norms, scaled residuals, and attention to the last 250 positions only."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as fn
from torch import Tensor, nn

from tts_engine.model.config import MimiConfig
from tts_engine.model.layers import Attend, weight
from tts_engine.model.rope import inverse_frequencies, rotate


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

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        """X [B, T, hidden]; cos and sin broadcast to [B, heads, T, head_dim]."""
        batch, steps, hidden = x.shape
        scale, bias = self.attention_norm
        normed = fn.layer_norm(x, (hidden,), scale, bias, self.eps)
        qkv = fn.linear(normed, self.qkv).view(batch, steps, 3 * self.heads, self.head_dim).transpose(1, 2)
        query, key, value = qkv.chunk(3, dim=1)
        mixed = attend(rotate(query, cos, sin), rotate(key, cos, sin), value)
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

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Callable[[int], Attend]) -> Tensor:
        """X [B, T, hidden]; `attend(n)` is layer n's way to keep keys and values and to attend."""
        for index, layer in enumerate(self.layers):
            x = layer(x, cos, sin, attend(index))
        return x
