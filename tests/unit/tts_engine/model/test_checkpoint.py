from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.fakes.tiny_csm import TinyCsm
from tts_engine.model.checkpoint import AUDIO_TABLES, Checkpoint, resolve
from tts_engine.model.errors import CheckpointError


def save(folder: Path, tensors: dict[str, Tensor], name: str = "model.safetensors") -> Path:
    folder.mkdir(exist_ok=True)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / name)
    return folder


def test_a_missing_tensor_is_named(tiny: TinyCsm):
    with pytest.raises(CheckpointError, match=r"lm_tail\.weight"):
        Checkpoint(tiny.folder).tensor("lm_tail.weight")


def test_a_folder_without_weights_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="no weights"):
        Checkpoint(tmp_path)


def test_sharded_weights_are_found_by_their_index(tmp_path: Path):
    save(tmp_path, {"a": torch.ones(1)}, "one.safetensors")
    save(tmp_path, {"b": torch.zeros(2)}, "two.safetensors")
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    checkpoint = Checkpoint(tmp_path)
    assert list(checkpoint.names()) == ["a", "b"]
    assert (checkpoint.tensor("a").shape, checkpoint.tensor("b").shape) == ((1,), (2,))


def test_the_hub_files_that_config_names_win_over_the_original_layout(tmp_path: Path):
    save(tmp_path, {"backbone.layers.0.attn.q_proj.weight": torch.ones(1)})
    with pytest.raises(CheckpointError, match="original layout"):
        Checkpoint(tmp_path)
    save(tmp_path, {"lm_head.weight": torch.ones(3)}, "transformers.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"transformers_weights": "transformers.safetensors"}))
    assert "lm_head.weight" in Checkpoint(tmp_path)


@pytest.mark.parametrize("name", AUDIO_TABLES)
def test_the_audio_embedding_is_found_under_either_name(tmp_path: Path, name: str):
    assert Checkpoint(save(tmp_path, {name: torch.ones(2, 2)})).audio_table().sum() == 4


def test_a_broken_tie_is_refused(tmp_path: Path):
    folder = save(tmp_path, {name: torch.full((2,), n) for n, name in enumerate(AUDIO_TABLES)})
    with pytest.raises(CheckpointError, match="tie"):
        Checkpoint(folder).audio_table()


def test_no_audio_embedding_at_all_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="embed_tokens"):
        Checkpoint(save(tmp_path, {"x": torch.ones(1)})).audio_table()


def test_a_local_folder_is_itself(tmp_path: Path):
    assert resolve(tmp_path) == tmp_path


@pytest.mark.parametrize("wrong", ["/nowhere/at/all", "no-such-folder", "too/many/parts"])
def test_what_is_neither_folder_nor_hub_id_is_refused(wrong: str):
    with pytest.raises(CheckpointError, match="neither a folder nor a hub id"):
        resolve(wrong)


def test_a_hub_id_that_cannot_be_fetched_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from huggingface_hub import constants  # noqa: PLC0415 - slow to import, and only here

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="accept its licence"):
        resolve("zeng-tests/no-such-model")


def test_a_copy_of_one_file_only_still_loads(tiny: TinyCsm, tmp_path: Path):
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny.folder / name, tmp_path)
    whole = load_file(tiny.folder / "model.safetensors")
    assert set(Checkpoint(tmp_path).names("lm_head")) == {"lm_head.weight"}
    assert torch.equal(Checkpoint(tmp_path).tensor("lm_head.weight"), whole["lm_head.weight"])
