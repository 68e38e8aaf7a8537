"""A checkpoint by its hub id, from a hub on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save

from tests.fakes.snapshot_hub import SnapshotHub, snapshot_hub
from tests.fakes.tiny_csm import write_tiny_csm
from tts_engine.model.checkpoint import Checkpoint, resolve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_csm(tmp_path / "tiny")


def point_to(hub: SnapshotHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT does to a process that has it from its beginning."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture(autouse=True)
def _an_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


def as_csm_1b(folder: Path) -> dict[str, bytes]:
    """The files of a checkpoint, laid out as sesame/csm-1b: the weights in two, the original layout beside them."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    weights = load_file(folder / "model.safetensors")
    names, halves = (
        list(weights),
        ("transformers-00001-of-00002.safetensors", "transformers-00002-of-00002.safetensors"),
    )
    where = {name: halves[number % 2] for number, name in enumerate(names)}
    index = "transformers.safetensors.index.json"
    config = {**json.loads(files["config.json"]), "transformers_weights": index}
    return {
        **files,
        **{half: save({name: weights[name] for name in names if where[name] == half}) for half in halves},
        "config.json": json.dumps(config).encode(),
        index: json.dumps({"weight_map": where}).encode(),
        "model.safetensors": save({"backbone.layers.0.attn.q_proj.weight": torch.ones(1)}),
        "ckpt.pt": b"the original, once more",
    }


def test_a_hub_id_is_fetched_without_what_is_not_read_and_is_there_the_next_time_without_the_hub(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    with snapshot_hub(as_csm_1b(folder)) as hub:
        point_to(hub, monkeypatch)
        fetched = resolve("sesame/csm-1b")
    assert not {"model.safetensors", "ckpt.pt"} & set(hub.fetched)
    assert len(hub.fetched) == len(set(hub.fetched))
    here, there = Checkpoint(folder), Checkpoint(fetched)
    assert set(here.names()) == set(there.names())
    assert all(torch.equal(here.tensor(name), there.tensor(name)) for name in here.names())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert resolve("sesame/csm-1b") == fetched


def test_a_model_that_names_no_files_of_its_own_has_them_where_all_models_have(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    with snapshot_hub({path.name: path.read_bytes() for path in folder.iterdir()}) as hub:
        point_to(hub, monkeypatch)
        fetched = resolve("zeng-tests/tiny")
    assert set(Checkpoint(fetched).names()) == set(Checkpoint(folder).names())
    assert {path.name for path in folder.iterdir()} == {path.name for path in fetched.iterdir()}
