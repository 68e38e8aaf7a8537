"""The vLLM voice, put together: vLLM's engine, and in this process the tokenizer, the encoder and the voices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from tts_engine.backend.csm import CsmBackend
from tts_engine.backend.vllm_engine import VllmEngine, VllmSettings
from tts_engine.model.checkpoint import Checkpoint, resolve
from tts_engine.model.config import CsmConfig
from tts_engine.model.mimi.encoder import MimiEncoder, encoding
from tts_engine.model.mimi.weights import load_encoder
from tts_engine.model.prompt import PromptBuilder
from tts_engine.model.sampling import Sampling
from tts_engine.model.tokenizer import TextTokenizer
from tts_engine.model.voice import Voice, read_voice


def vllm_csm(
    model: str,
    settings: VllmSettings,
    *,
    voices: Sequence[Path] = (),
    encoder_device: str = "cpu",
    sampling: Sampling | None = None,
    piece_chars: int | None = None,
    hears_conversation: bool = True,
) -> CsmBackend:
    """Make the backend for a model (folder or hub id); raises CheckpointError. vLLM itself starts in `start`."""
    folder = resolve(model)
    config = CsmConfig.read(folder)
    settings = replace(settings, positions=min(settings.positions, config.backbone.max_positions))
    with torch.device(encoder_device):
        encoder = MimiEncoder(config.mimi)
    load_encoder(encoder, Checkpoint(folder))
    engine, encode = VllmEngine(folder, config, settings), encoding(encoder, config.num_codebooks)
    prompts = PromptBuilder(
        TextTokenizer.read(folder, adapter=settings.adapter),
        num_codebooks=config.num_codebooks,
        codebook_size=config.codebook_size,
        positions=settings.positions,
    )
    known = [read_voice(path, encode) for path in voices] or [Voice("default")]
    return CsmBackend(
        engine,
        encode,
        prompts,
        config,
        name="vllm",
        model=folder.name,
        voices={voice.name: voice for voice in known},
        sampling=sampling or Sampling(),
        piece_chars=piece_chars,
        hears_conversation=hears_conversation,
    )
