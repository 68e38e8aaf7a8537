"""The depth decoder: from the backbone's state and codebook 0 to the other 31 codes of a frame.

A Llama stack whose positions are codebooks. A frame is one pass over [state, code 0] and then one pass a codebook, 31
in all, each seeing the keys and values of those before it. The cache lives for one frame, so its rows are the rows of
the batch. Every shape is static and nothing is read back: the whole loop can be one CUDA graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tts_engine.model.config import CsmConfig
from tts_engine.model.layers import Attend, LlamaLayer, RmsNorm, attention, weight
from tts_engine.model.rope import inverse_frequencies, rotations
from tts_engine.model.sampling import draw


@dataclass(frozen=True, slots=True)
class Draws:
    """How each row draws: keys [B, codebooks] int64, temperature [B] float32, top_k [B] int64 of at most `limit`.

    Temperature and top_k are contiguous.
    """

    keys: Tensor
    temperature: Tensor
    top_k: Tensor
    limit: int


class DepthDecoder(nn.Module):
    """31 sequential passes a frame, batched."""

    def __init__(self, config: CsmConfig) -> None:
        super().__init__()
        depth = config.depth
        self.config = depth
        self.num_codebooks, self.codebook_size = config.num_codebooks, config.codebook_size
        self.projector = weight(depth.hidden_size, config.backbone.hidden_size)
        self.layers = nn.ModuleList(LlamaLayer(depth) for _ in range(depth.num_layers))
        self.norm = RmsNorm(depth.hidden_size, depth.norm_eps)
        self.heads = weight(config.num_codebooks - 1, depth.hidden_size, config.codebook_size)
        self.register_buffer("frequencies", inverse_frequencies(depth.head_dim, depth.rope), persistent=False)
        table = torch.empty(config.num_codebooks * config.codebook_size, depth.hidden_size)
        self.register_buffer("projected", table, persistent=False)
        self.frequencies: Tensor
        self.projected: Tensor

    def project(self, audio_table: Tensor) -> None:
        """Projects the whole audio embedding [codebooks * size, backbone hidden] once, sparing a product a pass.

        To be called whenever the weights have changed. 134 MB in bfloat16 for CSM-1B.
        """
        self.projected = fn.linear(audio_table, self.projector)

    def forward(self, hidden: Tensor, first: Tensor, draws: Draws) -> Tensor:
        """Codes [B, codebooks] int64 from backbone states [B, hidden] and codebook 0 [B] int64."""
        cos, sin = self._angles(hidden)
        shape = (self.config.num_layers, 2, hidden.shape[0], self.config.num_kv_heads, self.num_codebooks)
        cache = hidden.new_empty(*shape, self.config.head_dim)
        start = fn.linear(hidden, self.projector)
        x = self._pass(torch.stack((start, self.projected[first]), dim=1), 0, cache, cos, sin)
        codes = [first]
        for codebook in range(1, self.num_codebooks):
            logits = x @ self.heads[codebook - 1]
            codes.append(draw(logits, draws.keys[:, codebook], draws.temperature, draws.top_k, limit=draws.limit))
            if codebook + 1 < self.num_codebooks:
                embedded = self.projected[codes[-1] + codebook * self.codebook_size]
                x = self._pass(embedded[:, None], codebook + 1, cache, cos, sin)
        return torch.stack(codes, dim=1)

    def logits(self, hidden: Tensor, codes: Tensor) -> Tensor:
        """Logits [B, codebooks - 1, size] of codebooks 1.. given the true codes [B, codebooks]: one parallel pass."""
        cos, sin = self._angles(hidden)
        offsets = torch.arange(self.num_codebooks - 1, device=codes.device) * self.codebook_size
        embedded = fn.embedding(codes[:, :-1] + offsets, self.projected)
        x = torch.cat((fn.linear(hidden, self.projector)[:, None], embedded), dim=1)
        causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()[None]
        for layer in self.layers:
            x = layer(x, cos, sin, _whole(causal))
        return torch.einsum("bch,chv->bcv", self.norm(x[:, 1:]), self.heads)

    def _angles(self, like: Tensor) -> tuple[Tensor, Tensor]:
        positions = torch.arange(self.num_codebooks, device=like.device)
        cos, sin = rotations(positions, self.frequencies)
        return cos.to(like.dtype), sin.to(like.dtype)

    def _pass(self, x: Tensor, start: int, cache: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """States [B, hidden] of the last of the positions x [B, T, hidden], which begin at `start`."""
        end = start + x.shape[1]
        mask = None
        if x.shape[1] > 1:
            mask = torch.ones(x.shape[1], end, dtype=torch.bool, device=x.device).tril(start)[None]
        for index, layer in enumerate(self.layers):
            x = layer(x, cos[start:end], sin[start:end], _keep(cache[index], start, end, mask))
        return self.norm(x[:, -1])


def _whole(mask: Tensor) -> Attend:
    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return attention(query, key, value, mask)

    return attend


def _keep(cache: Tensor, start: int, end: int, mask: Tensor | None) -> Attend:
    """Write keys and values to cache [2, B, kv_heads, positions, d] and attends to all up to `end`."""

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        cache[0, :, :, start:end] = key
        cache[1, :, :, start:end] = value
        return attention(query, cache[0, :, :, :end], cache[1, :, :, :end], mask)

    return attend
