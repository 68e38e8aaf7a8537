"""A checkpoint on a full disk is none, and the error says so; which check is the best."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from finetune.training.checkpoint import Best, Progress, checkpoints, write_checkpoint
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
