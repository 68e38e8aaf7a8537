"""Samples side by side: padded on the right to the longest, as tensors and places.

Places are found here, on the processor: asked of the device, each would make the host wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from finetune.training.sample import Mask, Sample
from tts_engine.model.prompt import AUDIO


@dataclass(frozen=True, slots=True)
class Batch:
    """tokens [B, S] int64 with 0 for frames and padding; the F frames in it as codes [F, codebooks] int64.

    `places` [F] are their positions in the flattened batch. Of the T frames to predict, `target` [T] are places,
    `predicted` [T] which of the F they are, `end` [T] bool which are end frames, and `depth` [D] which of the T have
    their codebooks from 1 on trained. Right padding needs no mask: under causal attention nothing before sees it.
    """

    tokens: Tensor
    codes: Tensor
    places: Tensor
    target: Tensor
    predicted: Tensor
    end: Tensor
    depth: Tensor

    def to(self, device: torch.device) -> Batch:
        """Move all of it; from pinned memory the copy does not wait for the device."""
        return Batch(*(getattr(self, name).to(device, non_blocking=True) for name in self.__slots__))

    def pinned(self) -> Batch:
        """Put all of it where a GPU can fetch it by itself."""
        return Batch(*(getattr(self, name).pin_memory() for name in self.__slots__))


def collate(samples: Sequence[Sample], depth: Sequence[Mask]) -> Batch:
    """Pad dynamically: a batch is as long as its longest sample, whatever the corpus has."""
    lengths = np.array([len(sample) for sample in samples])
    rows, width = len(samples), int(lengths.max())
    # all samples as one row, and where each of its positions is in the batch
    flat = np.concatenate([sample.tokens for sample in samples])
    codes = np.concatenate([sample.codes for sample in samples])
    target = np.concatenate([sample.target for sample in samples])
    end = np.concatenate([sample.end for sample in samples])
    place = np.arange(len(flat)) + np.repeat(np.arange(rows) * width - (np.cumsum(lengths) - lengths), lengths)
    frames = flat == AUDIO
    tokens = np.zeros(rows * width, np.int64)
    tokens[place[~frames]] = flat[~frames]
    return Batch(
        tokens=torch.from_numpy(tokens.reshape(rows, width)),
        codes=torch.from_numpy(codes[frames].astype(np.int64)),
        places=torch.from_numpy(place[frames]),
        target=torch.from_numpy(place[target]),
        predicted=torch.from_numpy(np.flatnonzero(target[frames])),
        end=torch.from_numpy(end[target]),
        depth=torch.from_numpy(np.flatnonzero(np.concatenate(depth)[target])),
    )
