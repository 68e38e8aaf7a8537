"""A checkpoint that speaks, by the server's own model: prompt, frames, sampling, end and codec are the same code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from finetune.data.audio import Samples
from tts_engine.model.backbone import KvCache
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.config import CsmConfig
from tts_engine.model.csm import CsmModel
from tts_engine.model.frame import FrameState
from tts_engine.model.mimi.decoder import MimiDecoder, MimiState
from tts_engine.model.mimi.weights import load_decoder
from tts_engine.model.prompt import Codes, Prompt, PromptBuilder
from tts_engine.model.sampling import Sampling
from tts_engine.model.tokenizer import TextTokenizer
from tts_engine.model.weights import load_csm

_CHUNK = 50


@dataclass(frozen=True, slots=True)
class Spoken:
    """codes [frames, codebooks] int16, the end frame left out; `stopped` False means that the limit cut it."""

    codes: Codes
    stopped: bool


class Voice:
    """Base weights with an adapter merged on reading, if there is one."""

    def __init__(self, folder: Path, *, adapter: Path | None, device: torch.device, dtype: torch.dtype) -> None:
        self.config = CsmConfig.read(folder)
        self._checkpoint = Checkpoint(folder, adapter=adapter)
        self._device = device
        self._model = CsmModel(self.config).to(dtype)
        load_csm(self._model, self._checkpoint)
        self._model.to(device).eval()
        self.builder = prompt_builder(folder, self.config)

    @torch.inference_mode()
    def speak(self, prompts: Sequence[Prompt], samplings: Sequence[Sampling], *, frames_max: int) -> list[Spoken]:
        """Say prompts side by side, until all have ended or have `frames_max` frames."""
        model, device, rows = self._model, self._device, len(prompts)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        longest = int(lengths.max())
        like = model.frames.audio_table
        cache = KvCache(self.config.backbone, slots=rows, positions=longest + frames_max, like=like)
        state = FrameState(self.config, slots=rows, like=like)
        for slot, sampling in enumerate(samplings):
            state.admit(slot, sampling)
        slots = torch.arange(rows, device=device)
        tokens, codes = (part.to(device) for part in _padded(prompts, longest))
        embedded = model.frames.embed(tokens, codes)
        hidden = model.backbone(embedded, cache, slots, torch.zeros_like(lengths), span=longest)[slots, lengths - 1]
        said: list[Tensor] = []
        ended: list[Tensor] = []
        for step in range(frames_max):
            frame = model.frames(hidden, slots, state)
            said.append(frame.codes)
            ended.append(frame.ended)
            # asking waits for the device, so it is asked now and then only
            if step % 8 == 7 and bool(torch.stack(ended).any(0).all()):
                break
            if step + 1 < frames_max:
                span = longest + step + 1
                hidden = model.backbone(state.embedding[slots][:, None], cache, slots, lengths + step, span=span)[:, 0]
        return _cut(torch.stack(said, 1), torch.stack(ended, 1))

    @torch.inference_mode()
    def sound(self, spoken: Sequence[Codes]) -> list[Samples]:
        """Decode codes to samples at 24 kHz, in float32."""
        decoder = MimiDecoder(self.config.mimi)
        load_decoder(decoder, self._checkpoint)
        decoder.to(self._device).eval()
        return [self._decode(decoder, codes) for codes in spoken]

    def _decode(self, decoder: MimiDecoder, codes: Codes) -> Samples:
        state = MimiState(decoder, slots=1, like=torch.zeros(0, device=self._device))
        slots = torch.zeros(1, dtype=torch.int64, device=self._device)
        active = torch.ones(1, dtype=torch.bool, device=self._device)
        pieces = [np.zeros(0, np.float32)]
        for start in range(0, len(codes), _CHUNK):
            chunk = torch.from_numpy(codes[start : start + _CHUNK]).long().to(self._device)[None]
            fresh = torch.full_like(active, start == 0)
            pieces.append(decoder(chunk, state, slots=slots, active=active, fresh=fresh)[0].cpu().numpy())
        return np.concatenate(pieces)


def prompt_builder(folder: Path, config: CsmConfig) -> PromptBuilder:
    """Make the checkpoint's prompt builder."""
    return PromptBuilder(
        TextTokenizer.read(folder),
        num_codebooks=config.num_codebooks,
        codebook_size=config.codebook_size,
        positions=config.backbone.max_positions,
    )


def _padded(prompts: Sequence[Prompt], longest: int) -> tuple[Tensor, Tensor]:
    tokens = torch.zeros(len(prompts), longest, dtype=torch.int64)
    codes = torch.zeros(len(prompts), longest, prompts[0].codes.shape[1], dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = torch.from_numpy(prompt.tokens)
        codes[row, : len(prompt)] = torch.from_numpy(prompt.codes)
    return tokens, codes


def _cut(codes: Tensor, ended: Tensor) -> list[Spoken]:
    """Cut each row [frames, codebooks] at its first end."""
    stopped = ended.any(1).tolist()
    lengths = torch.where(ended.any(1), ended.int().argmax(1), ended.shape[1]).tolist()
    rows = codes.to(torch.int16).cpu().numpy()
    return [
        Spoken(rows[i, :length].copy(), stop) for i, (length, stop) in enumerate(zip(lengths, stopped, strict=True))
    ]
