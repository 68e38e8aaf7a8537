from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.fakes.tiny_csm import TinyCsm
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.errors import CheckpointError
from tts_engine.model.mimi.decoder import MimiDecoder
from tts_engine.model.mimi.encoder import MimiEncoder
from tts_engine.model.mimi.weights import load_decoder, load_encoder


def test_every_parameter_is_filled(tiny: TinyCsm):
    for module, load in (
        (MimiDecoder(tiny.config.mimi), load_decoder),
        (MimiEncoder(tiny.config.mimi), load_encoder),
    ):
        for parameter in module.parameters():
            parameter.fill_(float("nan"))
        load(module, Checkpoint(tiny.folder))
        assert all(parameter.isfinite().all() for parameter in module.parameters())


def test_a_codec_by_itself_loads_without_the_prefix(tiny: TinyCsm, tmp_path: Path):
    tensors = load_file(tiny.folder / "model.safetensors")
    prefix = "codec_model."
    codec = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    save_file(codec, tmp_path / "model.safetensors")
    alone, inside = MimiDecoder(tiny.config.mimi), MimiDecoder(tiny.config.mimi)
    load_decoder(alone, Checkpoint(tmp_path))
    load_decoder(inside, Checkpoint(tiny.folder))
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), inside.parameters(), strict=True))


@pytest.mark.parametrize("name", ["codec_model.upsample.conv.weight", "codec_model.decoder.layers.5.conv.bias"])
def test_a_missing_or_misshapen_tensor_is_named(tiny: TinyCsm, tmp_path: Path, name: str):
    tensors = load_file(tiny.folder / "model.safetensors")
    wrong = tensors.pop(name)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        load_decoder(MimiDecoder(tiny.config.mimi), Checkpoint(tmp_path))
    save_file({**tensors, name: wrong[:-1].clone()}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="has shape"):
        load_decoder(MimiDecoder(tiny.config.mimi), Checkpoint(tmp_path))
