"""Which kernels run a batch of the depth decoder: chosen by its size, and so once for each CUDA graph."""

# pyright: basic, reportMissingImports=false
# Triton has no types, and comes only with CUDA builds of PyTorch.

from __future__ import annotations

import torch
from torch import Tensor
from triton.errors import TritonError

from tts_engine.model.alone_depth import AloneDepth, UnsupportedShapeError
from tts_engine.model.depth_decoder import DepthDecoder, Draws
from tts_engine.model.fused import FusedDepth

_AGREE = 0.5
"""Of rows whose first two drawn codes must be the same by both: near ties are few, wrong kernels agree on none."""
_TRIED = 8


class DepthPaths:
    """Called as `DepthDecoder` is. The kernels for one row are tried on the loaded weights first and must agree."""

    def __init__(self, depth: DepthDecoder, *, max_batch: int, alone: bool) -> None:
        self._fused = FusedDepth(depth, max_batch=max_batch)
        self._alone: AloneDepth | None = None
        self.summary = "fused kernels"
        if not alone:
            return
        try:
            lone = AloneDepth(self._fused)
            share = self._agreement(lone)
        except (UnsupportedShapeError, TritonError) as error:
            self.summary += f", for one row too: {error}"
            return
        if share >= _AGREE:
            self._alone = lone
            self.summary += ", others for one row"
        else:
            self.summary += f", for one row too: by those of its own {share:.0%} of codes agree"

    def __call__(self, hidden: Tensor, first: Tensor, draws: Draws) -> Tensor:
        path = self._fused if self._alone is None or hidden.shape[0] > 1 else self._alone
        return path(hidden, first, draws)

    def _agreement(self, lone: AloneDepth) -> float:
        """Share of rows whose codebooks 1 and 2 are the same in both kernels; the first pass they have in common."""
        depth = self._fused.depth
        generator = torch.Generator().manual_seed(0)
        hidden = torch.randn(_TRIED, 1, depth.projector.shape[1], generator=generator).to(depth.projector)
        first = torch.randint(0, depth.codebook_size, (_TRIED, 1), generator=generator).to(hidden.device)
        keys = torch.zeros(1, depth.num_codebooks, dtype=torch.int64, device=hidden.device)
        draws = Draws(keys, torch.zeros(1, device=hidden.device), keys[:, 0] + 1, 1)
        same = [
            torch.equal(lone(state, code, draws)[:, :3], self._fused(state, code, draws)[:, :3])
            for state, code in zip(hidden, first, strict=True)
        ]
        return sum(same) / _TRIED
