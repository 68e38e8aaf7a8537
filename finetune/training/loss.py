"""CSM's loss over codes made beforehand: codebook 0 from the backbone, the others from the depth decoder.

The forward of `transformers` is not used, since it (measured, versions 4.52 to 5.23)

- encodes the sound anew in every step and puts labels on context turns whatever the mask says;
- sums the depth loss over 31 codebooks when it is told the number of items, which weighs it 31 times;
- writes into a leaf in place, which fails under PEFT with gradient checkpointing.

Where nothing is masked and every frame is in the depth loss, both parts equal those of `transformers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from finetune.config import LossSettings
from finetune.training.batch import Batch, frames


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
    ends = int((batch.target & batch.end).sum())
    return Counts(int(batch.target.sum()), ends, int(batch.depth.sum()))


def loss_parts(model: nn.Module, batch: Batch, settings: LossSettings) -> LossParts:
    """Run the model (a `CsmForConditionalGeneration`, or PEFT's wrapping of one) over a batch."""
    csm = unwrap(model)
    rows, columns = batch.target.nonzero(as_tuple=True)
    # the state before a frame predicts it; position 0 is bos, so there always is one
    before = _backbone(csm, batch)[rows, columns - 1]
    codes, end = batch.codes[rows, columns], batch.end[rows, columns]
    first = fn.cross_entropy(csm.lm_head(before).float(), codes[:, 0], reduction="none")
    weights = 1.0 + (settings.end_weight - 1.0) * end
    chosen = batch.depth[rows, columns]
    depth = _depth(csm, before[chosen], codes[chosen])
    by_codebook = torch.cat((first.sum()[None], depth.sum(0)))
    return LossParts((first * weights).sum(), depth.sum(), by_codebook.detach(), (first * end).sum().detach())


def total(parts: LossParts, counts: Counts, settings: LossSettings) -> Tensor:
    """Weigh the two means: that of codebook 0 over frames, that of the others over frames and codebooks."""
    codebooks = len(parts.codebooks) - 1
    first = parts.first / max(counts.frames + (settings.end_weight - 1.0) * counts.ends, 1e-9)
    depth = parts.depth / max(counts.depth_frames * codebooks, 1)
    return settings.codebook0_weight * first + settings.depth_weight * depth


def unwrap(model: nn.Module) -> Any:  # noqa: ANN401 - the library's module, whose parts have no types
    """Give the CSM inside PEFT's wrapping, or the model itself; adapters stay in place."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator] - PEFT's


def _backbone(csm: Any, batch: Batch) -> Tensor:  # noqa: ANN401 - as above
    text = csm.embed_text_tokens(batch.tokens.clamp(min=0))
    sound = csm.backbone_model.embed_tokens(batch.codes)
    embedded = torch.where(frames(batch)[..., None], sound, text)
    return csm.backbone_model(inputs_embeds=embedded, attention_mask=batch.real.long(), use_cache=False)[0]


def _depth(csm: Any, states: Tensor, codes: Tensor) -> Tensor:  # noqa: ANN401 - as above
    """Negative log likelihood [N, K - 1] of codebooks 1.. of N frames."""
    decoder = csm.depth_decoder
    known = codes.shape[1] - 1
    offsets = torch.arange(known, device=codes.device) * csm.config.vocab_size
    embedded = decoder.model.embed_tokens(codes[:, :known] + offsets)
    # a new tensor, not a write in place: that is what breaks under gradient checkpointing
    inputs = torch.cat((states[:, None].to(embedded.dtype), embedded), dim=1)
    # without a mask, transformers 5 fails when there are as many frames as codebooks (it takes one for the other)
    mask = torch.ones(inputs.shape[:2], dtype=torch.int64, device=inputs.device)
    hidden = decoder.model(inputs_embeds=inputs, attention_mask=mask, use_cache=False)[0][:, 1:]
    logits = torch.einsum("nkd,kdv->nkv", hidden, decoder.codebooks_head.weight).float()
    return fn.cross_entropy(logits.transpose(1, 2), codes[:, 1:], reduction="none")
