"""The plain PyTorch voice, put together: weights from a folder or the hub, engine, codec and voices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from tts_engine.backend.csm import CsmBackend
from tts_engine.backend.torch_engine import TorchEngine
from tts_engine.model.checkpoint import Checkpoint, resolve
from tts_engine.model.config import CsmConfig
from tts_engine.model.csm import CsmModel
from tts_engine.model.mimi.decoder import MimiDecoder
from tts_engine.model.mimi.encoder import MimiEncoder, encoding
from tts_engine.model.mimi.weights import load_decoder, load_encoder
from tts_engine.model.prompt import PromptBuilder
from tts_engine.model.sampling import Sampling
from tts_engine.model.tokenizer import TextTokenizer
from tts_engine.model.voice import Voice, read_voice
from tts_engine.model.weights import load_csm


def torch_csm(  # noqa: PLR0913 - the settings of [tts.csm]
    model: str,
    *,
    adapter: Path | None = None,
    voices: Sequence[Path] = (),
    slots: int = 4,
    positions: int = 2048,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    sampling: Sampling | None = None,
    piece_chars: int | None = None,
    hears_conversation: bool = True,
) -> CsmBackend:
    """Load a model (folder or hub id) and make the backend; raises CheckpointError.

    voices: folders, see `read_voice`; without any there is one, "default", speaker 0. The codec stays
    float32: it is a twentieth of the work.
    """
    folder = resolve(model)
    config, checkpoint = CsmConfig.read(folder), Checkpoint(folder, adapter=adapter)
    with torch.device(device):
        csm = CsmModel(config).to(dtype)
        decoder, encoder = MimiDecoder(config.mimi), MimiEncoder(config.mimi)
    load_csm(csm, checkpoint)
    load_decoder(decoder, checkpoint)
    load_encoder(encoder, checkpoint)
    positions = min(positions, config.backbone.max_positions)
    engine = TorchEngine(csm, decoder, slots=slots, positions=positions)
    encode = encoding(encoder, config.num_codebooks)
    prompts = PromptBuilder(
        TextTokenizer.read(folder, adapter=adapter),
        num_codebooks=config.num_codebooks,
        codebook_size=config.codebook_size,
        positions=positions,
    )
    known = [read_voice(path, encode) for path in voices] or [Voice("default")]
    return CsmBackend(
        engine,
        encode,
        prompts,
        config,
        name="torch",
        model=folder.name,
        voices={voice.name: voice for voice in known},
        sampling=sampling or Sampling(),
        piece_chars=piece_chars,
        hears_conversation=hears_conversation,
    )
