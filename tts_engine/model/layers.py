"""The Llama block that the backbone and the depth decoder share; the key-value cache is the caller's."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tts_engine.model.config import TransformerConfig
from tts_engine.model.rope import rotate

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(q [B, heads, T, d], k [B, kv_heads, T, d], v like k), q and k rotated, to [B, T, heads * d]."""


def weight(*shape: int) -> nn.Parameter:
    """Make a frozen parameter to be filled by the loader."""
    return nn.Parameter(torch.empty(*shape), requires_grad=False)


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Grouped-query attention by plain matrix products.

    query [B, H, T, d], key and value [B, G, S, d] with H a multiple of G, mask broadcasting to [B, T, S] with True
    where attending is allowed; returns [B, T, H * d]. The fused kernels are avoided on purpose: cuDNN's crashed on
    Hopper for CSM's shapes, and theirs differ between batch sizes.
    """
    batch, heads, steps, width = query.shape
    groups, span = key.shape[1], key.shape[2]
    query = query.reshape(batch, groups, heads // groups * steps, width)
    scores = (query @ key.transpose(2, 3)).float() * width**-0.5
    if mask is not None:
        scores = scores.view(batch, groups, heads // groups, steps, span)
        scores = scores.masked_fill(~mask[:, None, None], float("-inf"))
        scores = scores.view(batch, groups, heads // groups * steps, span)
    mixed = scores.softmax(-1).to(value.dtype) @ value
    return mixed.view(batch, heads, steps, width).transpose(1, 2).reshape(batch, steps, heads * width)


class RmsNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = weight(size)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return fn.rms_norm(x, self.weight.shape, self.weight, self.eps)


class LlamaLayer(nn.Module):
    """One block; query, key and value are one product, and so are gate and up."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = config.num_heads, config.num_kv_heads, config.head_dim
        hidden, inner = config.hidden_size, config.intermediate_size
        self.attention_norm = RmsNorm(hidden, config.norm_eps)
        self.qkv = weight((self.heads + 2 * self.kv_heads) * self.head_dim, hidden)
        self.out = weight(hidden, self.heads * self.head_dim)
        self.mlp_norm = RmsNorm(hidden, config.norm_eps)
        self.gate_up = weight(2 * inner, hidden)
        self.down = weight(hidden, inner)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        """X [B, T, hidden]; cos and sin broadcast to [B, heads, T, head_dim]."""
        batch, steps, _ = x.shape
        qkv = fn.linear(self.attention_norm(x), self.qkv).view(batch, steps, -1, self.head_dim).transpose(1, 2)
        query, key, value = qkv.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
        mixed = attend(rotate(query, cos, sin), rotate(key, cos, sin), value)
        x = x + fn.linear(mixed, self.out)
        gate, up = fn.linear(self.mlp_norm(x), self.gate_up).chunk(2, dim=-1)
        return x + fn.linear(fn.silu(gate) * up, self.down)
