"""Backend `torch`: CSM in plain PyTorch, for machines without vLLM. Chosen by `[tts] backend = "torch"`."""

from __future__ import annotations

from pathlib import Path

import torch

from tts_engine.backend.port import Backend
from tts_engine.backend.torch_csm import torch_csm
from tts_engine.errors import SpeechUnavailableError
from tts_engine.model.errors import CheckpointError
from tts_engine.model.sampling import Sampling
from tts_engine.settings import TtsSettings


def build(settings: TtsSettings) -> Backend:
    """Load the checkpoint; raises `SpeechUnavailableError` with what is missing."""
    csm = settings.csm
    if not csm.checkpoint:
        raise SpeechUnavailableError("backend torch needs weights: set [tts.csm] checkpoint, or zeng serve --voice")
    try:
        return torch_csm(
            csm.checkpoint,
            adapter=Path(csm.adapter) if csm.adapter else None,
            voices=[Path(voice) for voice in csm.voices],
            slots=csm.slots,
            positions=csm.positions,
            device=csm.device,
            dtype=getattr(torch, csm.dtype),
            sampling=Sampling(temperature=csm.temperature, depth_temperature=csm.temperature, top_k=csm.top_k),
        )
    except (CheckpointError, OSError) as error:
        raise SpeechUnavailableError(f"checkpoint {csm.checkpoint}: {error}") from error
