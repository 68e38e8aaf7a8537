"""Mimi's split residual quantizer while its codebooks are still moving.

Codebooks follow the latents by exponential moving averages, the gradient passes straight through, and a code that
nothing falls to is put where something is. Nothing here waits for the device. Names are those of `transformers`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tts_engine.model.config import MimiConfig

_DECAY = 0.98
_DEAD = 0.03  # mean uses a step; with 1,280 frames a step an even share of 1,024 codes is 1.25


@dataclass(frozen=True, slots=True)
class Quantized:
    """Latents [B, hidden, T] to be decoded, the semantic half of them, and what training adds to its loss.

    `commitment` pulls latents to their codes, `spread` is how far their dimensions are from unit variance.
    """

    latents: Tensor
    semantic: Tensor
    commitment: Tensor
    spread: Tensor


class Codebook(nn.Module):
    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("embed_sum", torch.zeros(size, dim))
        self.register_buffer("cluster_usage", torch.ones(size))
        self.register_buffer("initialized", torch.ones(1))
        self.register_buffer("hits", torch.zeros(size), persistent=False)
        self.embed_sum: Tensor
        self.cluster_usage: Tensor
        self.hits: Tensor

    @property
    def table(self) -> Tensor:
        return self.embed_sum / self.cluster_usage.clamp(min=1e-5)[:, None]

    def nearest(self, x: Tensor) -> Tensor:
        """Codes [N] of x [N, dim]."""
        table = self.table
        return (table.square().sum(1) - 2 * x @ table.T).argmin(1)

    @torch.no_grad()
    def follow(self, x: Tensor, codes: Tensor) -> None:
        """Move towards what fell to each code, and put unused codes on latents drawn at random."""
        size = len(self.cluster_usage)
        counts = torch.zeros_like(self.cluster_usage).index_add_(0, codes, torch.ones_like(x[:, 0]))
        sums = torch.zeros_like(self.embed_sum).index_add_(0, codes, x)
        self.hits.lerp_(counts, 1 - _DECAY)
        usage = self.cluster_usage.lerp(counts, 1 - _DECAY)
        embed = self.embed_sum.lerp(sums, 1 - _DECAY)
        dead = usage < _DEAD
        drawn = x[torch.randint(len(x), (size,), device=x.device)]
        self.cluster_usage.copy_(torch.where(dead, 1.0, usage))
        self.embed_sum.copy_(torch.where(dead[:, None], drawn, embed))

    @torch.no_grad()
    def begin(self, x: Tensor, rounds: int = 8) -> None:
        """Put the codes among latents x [N, dim] by some rounds of k-means."""
        size = len(self.cluster_usage)
        table = x[torch.randint(len(x), (size,), device=x.device)]
        for _ in range(rounds):
            codes = (table.square().sum(1) - 2 * x @ table.T).argmin(1)
            counts = torch.zeros(size, device=x.device).index_add_(0, codes, torch.ones_like(x[:, 0]))
            sums = torch.zeros_like(table).index_add_(0, codes, x)
            drawn = x[torch.randint(len(x), (size,), device=x.device)]
            table = torch.where((counts > 0)[:, None], sums / counts.clamp(min=1)[:, None], drawn)
        self.embed_sum.copy_(table)
        self.cluster_usage.fill_(1.0)

    def perplexity(self) -> Tensor:
        """How many codes are used, as if evenly, of late."""
        shares = self.hits / self.hits.sum().clamp(min=1e-9)
        return (-(shares * shares.clamp(min=1e-12).log()).sum()).exp()


class _Level(nn.Module):
    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.codebook = Codebook(size, dim)


class Residual(nn.Module):
    """`count` codebooks, each for what those before it left over, between two projections."""

    def __init__(self, config: MimiConfig, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Level(config.codebook_size, config.codebook_dim) for _ in range(count))
        self.input_proj = nn.Conv1d(config.hidden_size, config.quantizer_dim, 1, bias=False)
        self.output_proj = nn.Conv1d(config.quantizer_dim, config.hidden_size, 1, bias=False)

    def codebooks(self) -> list[Codebook]:
        return [level.codebook for level in self.layers if isinstance(level, _Level)]

    def forward(self, latents: Tensor, *, continuous: bool) -> tuple[Tensor, Tensor, Tensor]:
        """What is to be decoded, commitment and spread, of latents [B, hidden, T]."""
        projected = self.input_proj(latents)
        flat = projected.transpose(1, 2).flatten(0, 1).float()
        spread = (flat.std(0) - 1.0).square().mean()
        if continuous:
            return self.output_proj(projected), torch.zeros_like(spread), spread
        rest, said = flat, torch.zeros_like(flat)
        commitment = torch.zeros_like(spread)
        for codebook in self.codebooks():
            codes = codebook.nearest(rest.detach())
            chosen = fn.embedding(codes, codebook.table)
            commitment = commitment + fn.mse_loss(rest, chosen)
            if self.training:
                codebook.follow(rest.detach(), codes)
            said, rest = said + chosen, rest - chosen
        straight = flat + (said - flat).detach()
        back = straight.view(projected.shape[0], projected.shape[2], -1).transpose(1, 2)
        return self.output_proj(back), commitment / len(self.layers), spread

    @torch.no_grad()
    def begin(self, latents: Tensor) -> None:
        """Put all codebooks among latents [B, hidden, T]."""
        rest = self.input_proj(latents).transpose(1, 2).flatten(0, 1).float()
        for codebook in self.codebooks():
            codebook.begin(rest)
            rest = rest - codebook.table[codebook.nearest(rest)]


class Quantizer(nn.Module):
    """One semantic codebook beside the acoustic ones; both code the same latents and their sum is decoded."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.semantic_residual_vector_quantizer = Residual(config, config.num_semantic_quantizers)
        acoustic = config.num_quantizers - config.num_semantic_quantizers
        self.acoustic_residual_vector_quantizer = Residual(config, acoustic)

    def forward(self, latents: Tensor, *, continuous: bool = False) -> Quantized:
        semantic, first_pull, first_spread = self.semantic_residual_vector_quantizer(latents, continuous=continuous)
        acoustic, pull, spread = self.acoustic_residual_vector_quantizer(latents, continuous=continuous)
        return Quantized(semantic + acoustic, semantic, first_pull + pull, first_spread + spread)

    def begin(self, latents: Tensor) -> None:
        """Put all codebooks among latents [B, hidden, T], when the continuous part of the training is over."""
        self.semantic_residual_vector_quantizer.begin(latents)
        self.acoustic_residual_vector_quantizer.begin(latents)

    def codebooks(self) -> list[Codebook]:
        semantic, acoustic = self.semantic_residual_vector_quantizer, self.acoustic_residual_vector_quantizer
        return [*semantic.codebooks(), *acoustic.codebooks()]
