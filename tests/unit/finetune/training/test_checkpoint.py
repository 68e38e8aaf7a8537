"""A checkpoint on a full disk is none, and the error says so; which check is the best."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from finetune.errors import TrainingError
from finetune.training.checkpoint import (
    Best,
    Progress,
    checkpoints,
    optimiser_state,
    put_back,
    replace_folder,
    restore,
    write_checkpoint,
)
from finetune.training.sharding import gathered
from tests.unit.finetune.full_disk import files_end_at


def test_a_full_disk_leaves_no_checkpoint_and_is_named(tmp_path: Path):
    state = {"a": {"exp_avg": torch.zeros(30_000)}}
    with files_end_at(40_000), pytest.raises(OSError, match=r"optimiser\.pt cannot be written; is the disk full"):
        write_checkpoint(tmp_path, Progress(1), {"a": torch.zeros(10)}, state, keep=2)
    assert checkpoints(tmp_path) == []
    write_checkpoint(tmp_path, Progress(1), {"a": torch.zeros(10)}, state, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["step_000001"]


def test_a_check_that_ends_often_enough_is_better_than_any_that_does_not_then_the_loss_counts():
    order = [Best(1, 3.0, stops=False), Best(2, 2.0, stops=False), Best(3, 5.0, stops=True), Best(4, 4.0, stops=True)]
    for number, worse in enumerate(order):
        for better in order[number + 1 :]:
            assert worse.worse_than(better)
            assert not better.worse_than(worse)
        assert not worse.worse_than(worse)


def test_a_folder_whose_replacement_was_cut_short_is_put_back(tmp_path: Path):
    # as it is if the program dies after the first of the two renames of `replace_folder`
    (tmp_path / ".best.old").mkdir()
    (tmp_path / ".best.old/weights").write_text("before", encoding="utf-8")
    (tmp_path / ".best.partial").mkdir()
    put_back(tmp_path / "best")
    assert (tmp_path / "best/weights").read_text(encoding="utf-8") == "before"
    (tmp_path / ".best.partial/weights").write_text("after", encoding="utf-8")
    replace_folder(tmp_path / ".best.partial", tmp_path / "best")
    put_back(tmp_path / "best")
    assert (tmp_path / "best/weights").read_text(encoding="utf-8") == "after"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


@pytest.mark.parametrize("name", ["progress.json", "weights.safetensors", "optimiser.pt"])
@pytest.mark.parametrize("size", [0, 30])
def test_a_damaged_checkpoint_is_named_with_what_to_do(name: str, size: int, tmp_path: Path):
    weights = {"w": nn.Parameter(torch.zeros(3))}
    optimiser = torch.optim.AdamW(weights.values())
    weights["w"].sum().backward()
    optimiser.step()
    state = optimiser_state(optimiser, weights, keep=True)
    path = write_checkpoint(tmp_path, Progress(step=1), gathered(weights, keep=True), state, keep=2)
    assert restore(path, weights, optimiser) == Progress(step=1)
    (path / name).write_bytes((path / name).read_bytes()[:size])
    with pytest.raises(TrainingError, match=r"step_000001 is damaged: remove it"):
        restore(path, weights, optimiser)
