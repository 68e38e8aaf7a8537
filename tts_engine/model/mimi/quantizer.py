"""Mimi's split residual quantizer: one codebook of meaning, 31 of sound, each a nearest-neighbour table."""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tts_engine.model.config import MimiConfig
from tts_engine.model.layers import weight


class ResidualQuantizer(nn.Module):
    """`count` codebooks, each coding what those before it left over, between two projections."""

    def __init__(self, config: MimiConfig, count: int) -> None:
        super().__init__()
        self.count, self.size = count, config.codebook_size
        self.tables = weight(count * config.codebook_size, config.codebook_dim)
        self.input = weight(config.quantizer_dim, config.hidden_size)
        self.output = weight(config.hidden_size, config.quantizer_dim)
        self.register_buffer("offsets", torch.arange(count) * config.codebook_size, persistent=False)
        self.offsets: Tensor

    def decode(self, codes: Tensor) -> Tensor:
        """[..., hidden] of codes [..., up to count]."""
        rows = codes + self.offsets[: codes.shape[-1]]
        return fn.linear(fn.embedding(rows, self.tables).sum(-2), self.output)

    def encode(self, x: Tensor) -> Tensor:
        """Codes [N, count] of x [N, hidden]; nearest by Euclidean distance, computed in float32."""
        rest = fn.linear(x, self.input)
        codes: list[Tensor] = []
        for table in self.tables.view(self.count, self.size, -1):
            nearest = torch.cdist(rest[None].float(), table[None].float())[0].argmin(-1)
            rest = rest - table[nearest]
            codes.append(nearest)
        return torch.stack(codes, dim=-1)


class SplitQuantizer(nn.Module):
    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.split, self.size = config.num_semantic_quantizers, config.codebook_size
        self.semantic = ResidualQuantizer(config, config.num_semantic_quantizers)
        self.acoustic = ResidualQuantizer(config, config.num_quantizers - config.num_semantic_quantizers)

    def decode(self, codes: Tensor) -> Tensor:
        """[..., hidden] of codes [..., codebooks]; 2,048 to 2,050, which are no sound, become 2,047."""
        codes = codes.clamp(max=self.size - 1)
        return self.semantic.decode(codes[..., : self.split]) + self.acoustic.decode(codes[..., self.split :])

    def encode(self, x: Tensor) -> Tensor:
        """Codes [N, codebooks] of x [N, hidden]."""
        return torch.cat((self.semantic.encode(x), self.acoustic.encode(x)), dim=-1)
