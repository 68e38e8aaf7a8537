"""Generation by the model alone: all prompts in one batch, a fixed number of frames, no engine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tts_engine.model.backbone import KvCache
from tts_engine.model.csm import CsmModel
from tts_engine.model.frame import FrameState
from tts_engine.model.prompt import Prompt
from tts_engine.model.sampling import Sampling

GREEDY = Sampling(temperature=0.0, depth_temperature=0.0)


def generate(model: CsmModel, prompts: Sequence[Prompt], samplings: Sequence[Sampling], frames: int) -> Tensor:
    """Codes [B, frames, codebooks]."""
    rows, longest = len(prompts), max(len(prompt) for prompt in prompts)
    like = model.frames.audio_table
    cache = KvCache(model.config.backbone, slots=rows, positions=longest + frames, like=like)
    state = FrameState(model.config, slots=rows, like=like)
    for slot, sampling in enumerate(samplings):
        state.admit(slot, sampling)
    slots = torch.arange(rows, device=like.device)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=like.device)
    tokens = torch.zeros(rows, longest, dtype=torch.int64, device=like.device)
    codes = torch.zeros(rows, longest, model.config.num_codebooks, dtype=torch.int64, device=like.device)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = torch.from_numpy(prompt.tokens)
        codes[row, : len(prompt)] = torch.from_numpy(prompt.codes)
    x = model.frames.embed(tokens, codes)
    hidden = model.backbone(x, cache, slots, torch.zeros_like(slots), span=longest)
    hidden = hidden[slots, lengths - 1]
    out = [model.frames(hidden, slots, state).codes]
    for step in range(frames - 1):
        x = state.embedding[slots][:, None]
        hidden = model.backbone(x, cache, slots, lengths + step, span=longest + step + 1)[:, 0]
        out.append(model.frames(hidden, slots, state).codes)
    return torch.stack(out, dim=1)
