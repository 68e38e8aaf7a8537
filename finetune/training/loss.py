"""CSM's loss over codes made beforehand: codebook 0 from the backbone, the others from the depth decoder.

The forward of `transformers` is not used, since it (measured, versions 4.52 to 5.23)

- encodes the sound anew in every step and puts labels on context turns whatever the mask says;
- sums the depth loss over 31 codebooks when it is told the number of items, which weighs it 31 times;
- writes into a leaf in place, which fails under PEFT with gradient checkpointing.

Where nothing is masked and every frame is in the depth loss, both parts equal those of `transformers`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from finetune.config import LossSettings
from finetune.training.batch import Batch
from finetune.training.forward import backbone_states, depth_states, shown

Nll = Callable[[Tensor, Tensor, Tensor], Tensor]

_ALIGNED = 8


@dataclass(frozen=True, slots=True)
class LossParts:
    """Sums, so that batches can be added: first over the target frames, depth over those chosen and all codebooks.

    `first` and `depth` carry gradients. The detached ones: codebooks [K] is the sum of the negative log likelihood by
    codebook, and `ends` that of codebook 0 at end frames.
    """

    first: Tensor
    depth: Tensor
    codebooks: Tensor
    ends: Tensor


@dataclass(frozen=True, slots=True)
class Counts:
    """What the sums of one optimiser step are divided by, over all its batches and devices."""

    frames: int
    ends: int
    depth_frames: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.frames + other.frames, self.ends + other.ends, self.depth_frames + other.depth_frames)


def count(batch: Batch) -> Counts:
    """Count a batch on its own."""
    return Counts(len(batch.target), int(batch.end.sum()), len(batch.depth))


def head_nll(hidden: Tensor, heads: Tensor, codes: Tensor) -> Tensor:
    """Negative log likelihood [N, K] of codes [N, K] by states [N, K, hidden] through a head [hidden, size] each."""
    size = heads.shape[2]
    # rows of 2,051 numbers of 16 bits begin at odd places, which takes the tensor cores' fast kernels away
    logits = torch.einsum("nkd,kdv->nkv", hidden, fn.pad(heads, (0, -size % _ALIGNED)))[..., :size]
    # flat, since classes that are not last take a slow kernel
    return fn.cross_entropy(logits.float().flatten(0, 1), codes.flatten(), reduction="none").view_as(codes)


def loss_parts(model: nn.Module, batch: Batch, settings: LossSettings, nll: Nll = head_nll) -> LossParts:
    """Run the model (a `CsmForConditionalGeneration`, or PEFT's wrapping of one) over a batch.

    `nll` is `head_nll` or what torch has made of it.
    """
    csm = unwrap(model)
    # the state before a frame predicts it; position 0 is bos, so there always is one. Rows are taken by index_select:
    # no row is taken twice, which indexing does not know, and going back it would sort them
    kept = shown(batch.codes, settings.coarse_share) if model.training else None
    before = backbone_states(csm, batch, kept).index_select(0, batch.target - 1)
    codes = batch.codes[batch.predicted]
    first = fn.cross_entropy(csm.lm_head(before).float(), codes[:, 0], reduction="none")
    weights = 1.0 + (settings.end_weight - 1.0) * batch.end
    trained = codes[batch.depth]
    depth = nll(
        depth_states(csm, before.index_select(0, batch.depth), trained),
        csm.depth_decoder.codebooks_head.weight,
        trained[:, 1:],
    )
    by_codebook = torch.cat((first.sum()[None], depth.sum(0)))
    return LossParts((first * weights).sum(), depth.sum(), by_codebook.detach(), (first * batch.end).sum().detach())


def total(parts: LossParts, counts: Counts, settings: LossSettings) -> Tensor:
    """Weigh the two means: that of codebook 0 over frames, that of the others over frames and codebooks."""
    codebooks = len(parts.codebooks) - 1
    first = parts.first / max(counts.frames + (settings.end_weight - 1.0) * counts.ends, 1e-9)
    depth = parts.depth / max(counts.depth_frames * codebooks, 1)
    return settings.codebook0_weight * first + settings.depth_weight * depth


def unwrap(model: nn.Module) -> Any:  # noqa: ANN401 - the library's module, whose parts have no types
    """Give the CSM inside PEFT's wrapping, or the model itself; adapters stay in place."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator] - PEFT's
