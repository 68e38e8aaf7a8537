"""Samples side by side: padded on the right to the longest, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from finetune.training.sample import Mask, Sample
from tts_engine.model.prompt import AUDIO


@dataclass(frozen=True, slots=True)
class Batch:
    """tokens [B, S] int64 (AUDIO for a frame), codes [B, S, codebooks] int64; the rest [B, S] bool.

    `real` is False for padding, `target` marks the frames to predict, `depth` those of them whose codebooks from 1 on
    are trained, `end` the end frames.
    """

    tokens: Tensor
    codes: Tensor
    real: Tensor
    target: Tensor
    depth: Tensor
    end: Tensor

    def to(self, device: torch.device) -> Batch:
        """Move all of it; the copy does not wait for the device."""
        moved = (getattr(self, name).to(device, non_blocking=True) for name in self.__slots__)
        return Batch(*moved)


def collate(samples: Sequence[Sample], depth: Sequence[Mask]) -> Batch:
    """Pad dynamically: a batch is as long as its longest sample, whatever the corpus has."""
    rows, width = len(samples), max(len(sample) for sample in samples)
    tokens = torch.zeros(rows, width, dtype=torch.int64)
    codes = torch.zeros(rows, width, samples[0].codes.shape[1], dtype=torch.int64)
    real, target, chosen, end = (torch.zeros(rows, width, dtype=torch.bool) for _ in range(4))
    for row, (sample, mask) in enumerate(zip(samples, depth, strict=True)):
        size = len(sample)
        tokens[row, :size] = torch.from_numpy(sample.tokens)
        codes[row, :size] = torch.from_numpy(sample.codes)
        real[row, :size] = True
        target[row, :size] = torch.from_numpy(sample.target)
        chosen[row, :size] = torch.from_numpy(mask)
        end[row, :size] = torch.from_numpy(sample.end)
    return Batch(tokens, codes, real, target, chosen, end)


def frames(batch: Batch) -> Tensor:
    """[B, S] bool: positions that are frames."""
    return (batch.tokens == AUDIO) & batch.real
