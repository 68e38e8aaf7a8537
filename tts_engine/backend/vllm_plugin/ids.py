"""Token ids as vLLM sees them: one a position, whether it is a text token or a frame of 32 codes.

A frame's id is a hash of all its codes, so vLLM's prefix cache, which knows ids only, hits exactly when the codes are
the same: for the frames that a later turn quotes, and across calls for the sample of a voice. Two frames have the
same id once in 2**29; for a wrong hit that must happen at the same place after the same beginning in a block of 16.
The end of speech is id 0, as a sampled token (vLLM's stop token) and in prompts.
"""

from __future__ import annotations

from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tts_engine.model.prompt import Codes, Passage, Prompt

_Numbers = TypeVar("_Numbers", Tensor, npt.NDArray[np.int64])

STOP_ID = 0
TEXT_BASE = 1
FRAME_BASE = 1 << 20  # above any text vocabulary
_FRAME_MASK = (1 << 29) - 1
_MASK = 0xFFFFFFFF


def _weights(num_codebooks: int) -> list[int]:
    """Odd numbers under 2**31: 32 products with codes stay under 2**48."""
    state, weights = 0x9E3779B97F4A7C15, list[int]()
    for _ in range(num_codebooks):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        weights.append(state >> 33 | 1)
    return weights


class FrameIds:
    """Ids of frames on a device; numpy's and torch's integers agree to the bit."""

    def __init__(self, num_codebooks: int, device: torch.device | str = "cpu") -> None:
        weights = _weights(num_codebooks)
        self._weights = torch.tensor(weights, device=device)
        self._weights_here = np.array(weights, np.int64)
        self._known: WeakKeyDictionary[Passage, npt.NDArray[np.int32]] = WeakKeyDictionary()

    def __call__(self, codes: Tensor, ended: Tensor) -> Tensor:
        """Ids [...] int64 of codes [..., codebooks] int64; STOP_ID where ended [...]."""
        total = (codes * self._weights).sum(-1)
        return _hashed(total).masked_fill(ended, STOP_ID)

    def quoted(self, codes: Codes) -> npt.NDArray[np.int64]:
        """Ids [n] of a prompt's codes [n, codebooks], on the host; zeros in all but the last are the end."""
        ids = _hashed(codes.astype(np.int64) @ self._weights_here)
        ids[~codes[:, :-1].any(-1)] = STOP_ID
        return ids

    def of_passage(self, passage: Passage) -> npt.NDArray[np.int32]:
        """Ids [n] of a passage; computed once, and kept for as long as the passage is: 4 bytes a position."""
        if not passage.frames:  # the text to be said, as a rule, and nobody says it again
            return TEXT_BASE + passage.tokens
        ids = self._known.get(passage)
        if ids is None:
            frames = self.quoted(np.concatenate(passage.frames)).astype(np.int32)
            ids = self._known[passage] = np.concatenate([TEXT_BASE + passage.tokens, frames])
        return ids


def _hashed(total: _Numbers) -> _Numbers:
    return FRAME_BASE + (_mix((total & _MASK) ^ _mix(total >> 32)) & _FRAME_MASK)


def _mix(x: _Numbers) -> _Numbers:
    x = (x ^ (x >> 16)) * 0x21F0AAAD & _MASK
    x = (x ^ (x >> 15)) * 0x735A2D97 & _MASK
    return x ^ (x >> 15)


def prompt_ids(prompt: Prompt, frame_ids: FrameIds) -> list[int]:
    """Ids of a prompt; the frame of zeros that ends a turn's audio is STOP_ID."""
    return np.concatenate([frame_ids.of_passage(passage) for passage in prompt.passages]).tolist()
