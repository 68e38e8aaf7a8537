"""Which kernels run a batch of the depth decoder: chosen by its size, and so once for each CUDA graph."""

# pyright: basic, reportMissingImports=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

import torch
from torch import Tensor
from triton.errors import TritonError

from tts_engine.model.depth_decoder import DepthDecoder, Draws
from tts_engine.model.depth_options import DepthOptions
from tts_engine.model.fused import FusedDepth
from tts_engine.model.small_depth import SmallDepth, UnsupportedShapeError

_AGREE = 0.5
"""Of rows whose first drawn code must be the same by both kernels: near ties are few, wrong kernels agree on none."""


class DepthPaths:
    """Called as `DepthDecoder` is. The small kernels are tried on the loaded weights first and must agree."""

    def __init__(self, depth: DepthDecoder, *, max_batch: int, options: DepthOptions) -> None:
        self._fused = FusedDepth(depth, max_batch=max_batch, float8=options.float8)
        self._small: SmallDepth | None = None
        self._most = min(options.small_batch, max_batch)
        self.summary = "fused kernels" + (", MLP in float8" if options.float8 else "")
        if self._most == 0:
            return
        try:
            small = SmallDepth(self._fused, options)
            if (share := self._agreement(small)) >= _AGREE:
                self._small = small
                self.summary += f"; small-batch kernels up to {self._most}"
            else:
                self.summary += f"; no small-batch kernels: {share:.0%} of first codes agree"
        except (UnsupportedShapeError, TritonError) as error:
            self.summary += f"; no small-batch kernels: {error}"

    def __call__(self, hidden: Tensor, first: Tensor, draws: Draws) -> Tensor:
        if self._small is not None and hidden.shape[0] <= self._most:
            return self._small(hidden, first, draws)
        return self._fused(hidden, first, draws)

    def _agreement(self, small: SmallDepth) -> float:
        """Share of rows, alone and together, that begin with the same code in both kernels."""
        depth = self._fused.depth
        generator = torch.Generator().manual_seed(0)
        shape = (self._most, depth.projector.shape[1])
        hidden = torch.randn(shape, generator=generator).to(depth.projector)
        first = torch.randint(0, depth.codebook_size, shape[:1], generator=generator).to(hidden.device)
        keys = torch.zeros(shape[0], depth.num_codebooks, dtype=torch.int64, device=hidden.device)
        draws = Draws(keys, torch.zeros(shape[0], device=hidden.device), keys[:, 0] + 1, 1)
        expected = self._fused(hidden, first, draws)[:, 1]
        one = Draws(keys[:1], draws.temperature[:1], draws.top_k[:1], 1)
        found = torch.cat((small(hidden, first, draws)[:, 1], small(hidden[:1], first[:1], one)[:, 1]))
        return (found == torch.cat((expected, expected[:1]))).float().mean().item()
