"""Adapters made, saved and merged by PEFT itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.fakes.tiny_csm import TinyCsm, load_reference
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.errors import CheckpointError

TARGETS = (
    r"(backbone_model\.layers|depth_decoder\.model\.layers)\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
)


def train(tiny: TinyCsm, folder: Path, **settings: Any) -> dict[str, torch.Tensor]:
    """Saves a random adapter to `folder` and returns what PEFT merges it to."""
    model = peft.get_peft_model(
        load_reference(tiny.folder), peft.LoraConfig(r=3, lora_alpha=5, target_modules=TARGETS, **settings)
    )
    with torch.random.fork_rng():
        torch.manual_seed(2)
        for name, parameter in model.named_parameters():
            if "lora_" in name or "modules_to_save" in name or "trainable_tokens" in name:
                parameter.normal_(std=0.1)
    model.save_pretrained(folder)
    return dict(model.merge_and_unload().state_dict())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_rslora": True},
        {"alpha_pattern": {"q_proj": 9}, "rank_pattern": {"backbone_model.layers.0.mlp.up_proj": 2}},
        {"modules_to_save": ["lm_head"], "trainable_token_indices": {"embed_text_tokens": [1, 5, 40]}},
    ],
)
def test_merged_weights_are_those_that_peft_merges(tiny: TinyCsm, tmp_path: Path, settings: dict[str, Any]):
    merged = train(tiny, tmp_path, **settings)
    checkpoint, base = Checkpoint(tiny.folder, adapter=tmp_path), Checkpoint(tiny.folder)
    names = [name for name in checkpoint.names() if not name.startswith("codec_model.")]
    assert all(torch.allclose(checkpoint.tensor(name), merged[name], atol=1e-6) for name in names)
    changed = {name for name in names if not torch.equal(checkpoint.tensor(name), base.tensor(name))}
    assert "depth_decoder.model.layers.1.mlp.down_proj.weight" in changed
    assert ("lm_head.weight" in changed) == ("modules_to_save" in settings)


def test_rows_named_for_one_embedding_only_are_trained_there(tiny: TinyCsm, tmp_path: Path):
    config = {"lora_alpha": 1, "trainable_token_indices": [0, 2]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    rows = torch.full((2, 64), 9.0)
    save_file(
        {"base_model.model.embed_text_tokens.token_adapter.trainable_tokens_delta": rows},
        tmp_path / "adapter_model.safetensors",
    )
    merged = Checkpoint(tiny.folder, adapter=tmp_path).tensor("embed_text_tokens.weight")
    assert (merged == 9.0).all(-1).nonzero()[:, 0].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("tensors", "rows"),
    [
        ({"lm_head.lora_A.weight": torch.zeros(3, 64), "lm_head.lora_B.weight": torch.zeros(7, 3)}, []),
        ({"lm_head.modules_to_save.weight": torch.zeros(7, 64)}, []),
        ({"embed_text_tokens.token_adapter.trainable_tokens_delta": torch.zeros(1, 7)}, [0]),
        ({"embed_text_tokens.token_adapter.trainable_tokens_delta": torch.zeros(1, 64)}, [99_999]),
    ],
    ids=["pair", "whole", "width of rows", "number of rows"],
)
def test_an_adapter_of_a_base_of_another_size_is_refused(
    tiny: TinyCsm, tmp_path: Path, tensors: dict[str, torch.Tensor], rows: list[int]
):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 1, "trainable_token_indices": rows}))
    save_file(
        {f"base_model.model.{key}": tensor for key, tensor in tensors.items()}, tmp_path / "adapter_model.safetensors"
    )
    checkpoint = Checkpoint(tiny.folder, adapter=tmp_path)
    with pytest.raises(CheckpointError, match="another size"):
        [checkpoint.tensor(name) for name in ("lm_head.weight", "embed_text_tokens.weight")]


def test_a_folder_without_config_is_refused(tiny: TinyCsm, tmp_path: Path):
    with pytest.raises(CheckpointError, match="not a PEFT adapter"):
        Checkpoint(tiny.folder, adapter=tmp_path)


@pytest.mark.parametrize(
    "setting", [{"use_dora": True}, {"bias": "all"}, {"target_parameters": ["codebooks_head.weight"]}]
)
def test_kinds_that_cannot_be_merged_are_refused(tiny: TinyCsm, tmp_path: Path, setting: dict[str, Any]):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 1, **setting}))
    with pytest.raises(CheckpointError, match="merge"):
        Checkpoint(tiny.folder, adapter=tmp_path)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("base_model.model.lm_neck.lora_A.weight", "does not have"),
        ("base_model.model.lm_head.lora_A.weight", "one half"),
        ("base_model.model.lm_head.lora_embedding_A", "cannot be merged"),
    ],
)
def test_tensors_that_do_not_belong_are_named(tiny: TinyCsm, tmp_path: Path, key: str, message: str):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 1}))
    save_file({key: torch.ones(1, 64)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        Checkpoint(tiny.folder, adapter=tmp_path)


def test_an_adapter_leaves_the_base_files_alone(tiny: TinyCsm, tmp_path: Path):
    before = load_file(tiny.folder / "model.safetensors")
    train(tiny, tmp_path)
    Checkpoint(tiny.folder, adapter=tmp_path).tensor("backbone_model.layers.0.self_attn.q_proj.weight")
    after = load_file(tiny.folder / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
