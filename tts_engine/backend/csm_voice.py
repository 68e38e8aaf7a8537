"""What makes a voice of an engine that runs CSM: the tokenizer, the encoder of callers' sound, and voices' samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from tts_engine.backend.csm import CsmBackend
from tts_engine.backend.csm_engine import CsmEngine
from tts_engine.model.checkpoint import Checkpoint, resolve
from tts_engine.model.config import CsmConfig
from tts_engine.model.mimi.encoder import MimiEncoder, encoding
from tts_engine.model.mimi.weights import load_encoder
from tts_engine.model.prompt import PromptBuilder
from tts_engine.model.sampling import Sampling
from tts_engine.model.tokenizer import TextTokenizer
from tts_engine.model.voice import Voice, read_voice


def csm_voice(  # noqa: PLR0913 - the settings of [tts.csm]
    engine: CsmEngine,
    model: str,
    *,
    name: str,
    adapter: Path | None = None,
    positions: int = 2048,
    voices: Sequence[Path] = (),
    encoder_device: str = "cpu",
    sampling: Sampling | None = None,
    piece_chars: int | None = None,
    hears_conversation: bool = True,
) -> CsmBackend:
    """Make the backend for a model (folder or hub id) that the engine runs; raises CheckpointError.

    voices: folders, see `read_voice`; without any there is one, "default", speaker 0.
    """
    folder = resolve(model)
    config = CsmConfig.read(folder)
    with torch.device(encoder_device):
        encoder = MimiEncoder(config.mimi)
    load_encoder(encoder, Checkpoint(folder))
    encode = encoding(encoder, config.num_codebooks)
    prompts = PromptBuilder(
        TextTokenizer.read(folder, adapter=adapter),
        num_codebooks=config.num_codebooks,
        codebook_size=config.codebook_size,
        positions=min(positions, config.backbone.max_positions),
    )
    known = [read_voice(path, encode) for path in voices] or [Voice("default")]
    return CsmBackend(
        engine,
        encode,
        prompts,
        config,
        name=name,
        model=folder.name,
        voices={voice.name: voice for voice in known},
        sampling=sampling or Sampling(),
        piece_chars=piece_chars,
        hears_conversation=hears_conversation,
    )
