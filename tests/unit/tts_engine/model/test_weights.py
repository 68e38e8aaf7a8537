from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.fakes.tiny_csm import TinyCsm
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.csm import CsmModel
from tts_engine.model.errors import CheckpointError
from tts_engine.model.weights import load_csm


def test_every_parameter_is_filled(tiny: TinyCsm):
    model = CsmModel(tiny.config)
    for parameter in model.parameters():
        parameter.fill_(float("nan"))
    load_csm(model, Checkpoint(tiny.folder))
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert model.frames.depth.projected.isfinite().all()


def test_every_tensor_of_the_language_model_has_a_place(tiny: TinyCsm):
    names = [name for name in Checkpoint(tiny.folder).names() if not name.startswith("codec_model.")]
    held = sum(parameter.numel() for parameter in tiny.model.parameters())
    assert held == sum(Checkpoint(tiny.folder).tensor(name).numel() for name in names)


@pytest.mark.parametrize(
    "name",
    [
        "backbone_model.layers.1.mlp.up_proj.weight",
        "depth_decoder.codebooks_head.weight",
        "backbone_model.norm.weight",
    ],
)
def test_a_missing_or_misshapen_tensor_is_named(tiny: TinyCsm, tmp_path: Path, name: str):
    tensors = load_file(tiny.folder / "model.safetensors")
    wrong = tensors.pop(name)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        load_csm(CsmModel(tiny.config), Checkpoint(tmp_path))
    save_file({**tensors, name: wrong[:-1].clone()}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"{name} .*config.json"):
        load_csm(CsmModel(tiny.config), Checkpoint(tmp_path))


def test_weights_are_cast_to_the_type_of_the_model(tiny: TinyCsm):
    model = CsmModel(tiny.config).to(torch.bfloat16)
    load_csm(model, Checkpoint(tiny.folder))
    assert model.frames.depth.projected.dtype == torch.bfloat16
    assert torch.equal(model.frames.audio_table, tiny.model.frames.audio_table.bfloat16())
