"""The three engines that run CSM, made for a model (folder or hub id); all raise CheckpointError.

vLLM itself starts in `start`, in a process of its own; the PyTorch engine reads its weights here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from tts_engine.backend.engine_wire import EngineDescription
from tts_engine.backend.remote_engine import RemoteEngine
from tts_engine.backend.torch_engine import TorchEngine
from tts_engine.backend.vllm_engine import VllmEngine, VllmSettings
from tts_engine.model.checkpoint import Checkpoint, resolve
from tts_engine.model.config import CsmConfig
from tts_engine.model.csm import CsmModel
from tts_engine.model.mimi.decoder import MimiDecoder
from tts_engine.model.mimi.weights import load_decoder
from tts_engine.model.weights import load_csm


def torch_engine(
    model: str,
    *,
    adapter: Path | None = None,
    slots: int = 4,
    positions: int = 2048,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> TorchEngine:
    """Load a model into PyTorch. The codec stays float32: it is a twentieth of the work."""
    folder = resolve(model)
    config, checkpoint = CsmConfig.read(folder), Checkpoint(folder, adapter=adapter)
    with torch.device(device):
        csm, decoder = CsmModel(config).to(dtype), MimiDecoder(config.mimi)
    load_csm(csm, checkpoint)
    load_decoder(decoder, checkpoint)
    return TorchEngine(csm, decoder, slots=slots, positions=min(positions, config.backbone.max_positions))


def vllm_engine(model: str, settings: VllmSettings) -> VllmEngine:
    """Make vLLM's engine."""
    folder = resolve(model)
    config = CsmConfig.read(folder)
    positions = min(settings.positions, config.backbone.max_positions)
    return VllmEngine(folder, config, replace(settings, positions=positions))


def remote_engine(model: str, path: Path, *, adapter: Path | None, positions: int) -> RemoteEngine:
    """Make the engine that speaks in another process, at a Unix socket."""
    return RemoteEngine(path, describe(model, adapter=adapter, positions=positions))


def describe(model: str, *, adapter: Path | None, positions: int, streams: int = 0) -> EngineDescription:
    """Say what an engine of a model is, or has to be."""
    folder = resolve(model)
    config = CsmConfig.read(folder)
    return EngineDescription(
        model=folder.name,
        adapter=adapter.name if adapter is not None else "",
        streams=streams,
        positions=min(positions, config.backbone.max_positions),
        codebooks=config.num_codebooks,
        frame_samples=config.mimi.frame_samples,
    )
