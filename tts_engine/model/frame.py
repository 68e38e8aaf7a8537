"""One frame: codebook 0 from the backbone's state, the 31 others, is it the end, and what goes in next.

`FrameDecoder` holds the weights outside the backbone and is what every engine shares. `FrameState` holds, by slot,
what a request carries from frame to frame; a step reads and writes it on the device, so that the next step needs
nothing from the host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from tts_engine.model.config import CsmConfig
from tts_engine.model.depth_decoder import DepthDecoder, Draws
from tts_engine.model.layers import weight
from tts_engine.model.sampling import Sampling, draw, frame_keys, stream_key

DepthStep: TypeAlias = Callable[[Tensor, Tensor, Draws], Tensor]
"""Backbone states and codebook 0 to all codes; see `DepthDecoder.forward`."""


class FrameState:
    """What requests carry, by slot [slots + 1, ...]; the last slot takes rows whose result is to be dropped.

    Temperatures are [2, slots + 1].
    """

    def __init__(self, config: CsmConfig, *, slots: int, like: Tensor, top_k_limit: int = 64) -> None:
        def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(slots + 1, *shape, dtype=dtype, device=like.device)

        self.scratch = slots
        self.top_k_limit, self._codebook_size = top_k_limit, config.codebook_size
        self.stream = zeros(dtype=torch.int64)
        self.frame = zeros(dtype=torch.int64)
        self.top_k = zeros(dtype=torch.int64) + 1
        self.temperature = torch.zeros(2, slots + 1, device=like.device)  # of codebook 0, and of the others
        self.embedding = zeros(config.backbone.hidden_size, dtype=like.dtype)
        self.codes = zeros(config.num_codebooks, dtype=torch.int64)

    def admit(self, slot: int, sampling: Sampling, *, frame: int = 0) -> None:
        """Prepare a slot for a request that has `frame` frames already; raises ValueError over the top-k limit.

        Nothing waits for the device. To assign a number by index would: `tensor[slot] = 1` copies it from the host's
        memory and waits for that, so for all steps under way (PyTorch's pull request 186482).
        """
        top_k = min(sampling.top_k, self._codebook_size)
        if top_k > self.top_k_limit:
            raise ValueError(f"top_k is {top_k}; this engine keeps at most {self.top_k_limit} candidates")
        self.stream[slot].fill_(stream_key(sampling.seed))
        self.frame[slot].fill_(frame)
        self.top_k[slot].fill_(top_k)
        self.temperature[0, slot].fill_(sampling.temperature)
        self.temperature[1, slot].fill_(sampling.depth_temperature)


@dataclass(frozen=True, slots=True)
class Frame:
    """Codes [B, codebooks] int64, and ended [B] bool: this frame is the end and not sound."""

    codes: Tensor
    ended: Tensor


class FrameDecoder(nn.Module):
    """Embeddings, the head of codebook 0 and the depth decoder."""

    def __init__(self, config: CsmConfig) -> None:
        super().__init__()
        hidden = config.backbone.hidden_size
        self.config = config
        self.audio_table = weight(config.num_codebooks * config.codebook_size, hidden)
        self.text_table = weight(config.text_vocab_size, hidden)
        self.first_head = weight(config.codebook_size, hidden)
        self.depth = DepthDecoder(config)
        offsets = torch.arange(config.num_codebooks) * config.codebook_size
        self.register_buffer("offsets", offsets, persistent=False)
        self.offsets: Tensor
        self._fused: DepthStep | None = None

    def fuse(self, *, max_batch: int, alone: bool) -> str:
        """Run the depth decoder in fused kernels from now on; CUDA only, and again whenever the weights change.

        `alone`: kernels of their own for a single row. Returns what runs, for the log: without Triton it is the plain
        decoder still.
        """
        try:
            from tts_engine.model.depth_paths import DepthPaths  # noqa: PLC0415  # Triton comes with CUDA builds only
        except ImportError as error:
            return f"plain PyTorch: {error}"
        paths = DepthPaths(self.depth, max_batch=max_batch, alone=alone)
        self._fused = paths
        return paths.summary

    def prepare(self) -> None:
        """Derive what depends on the weights; to be called once they are loaded."""
        self.depth.project(self.audio_table)

    def embed_frames(self, codes: Tensor) -> Tensor:
        """[..., hidden] of codes [..., codebooks] int64: the sum of a row a codebook."""
        return fn.embedding(codes + self.offsets, self.audio_table).sum(-2)

    def embed(self, tokens: Tensor, codes: Tensor) -> Tensor:
        """[..., hidden] of a prompt: text tokens [...] where they are not negative, else codes [..., codebooks]."""
        text = fn.embedding(tokens.clamp(min=0), self.text_table)
        return torch.where((tokens < 0)[..., None], self.embed_frames(codes), text)

    def forward(self, hidden: Tensor, slots: Tensor, state: FrameState) -> Frame:
        """One frame for backbone states [B, hidden] of the requests in slots [B] int64; advances their state."""
        keys = frame_keys(state.stream[slots], state.frame[slots], self.config.num_codebooks)
        top_k, limit = state.top_k[slots], state.top_k_limit
        temperature, depth_temperature = state.temperature.index_select(1, slots)  # row after row, as kernels read them
        logits = fn.linear(hidden, self.first_head)
        first = draw(logits, keys[:, 0], temperature, top_k, limit=limit)
        run_depth = self.depth if self._fused is None else self._fused
        codes = run_depth(hidden, first, Draws(keys, depth_temperature, top_k, limit))
        state.codes[slots] = codes
        state.embedding[slots] = self.embed_frames(codes)
        state.frame[slots] = state.frame[slots] + 1
        return Frame(codes, self.ended(codes))

    def ended(self, codes: Tensor) -> Tensor:
        """Is a frame [..., codebooks] the end: zero in all codebooks but the last, as `transformers` tests it."""
        return (codes[..., :-1] == self.config.codebook_eos_id).all(-1)
