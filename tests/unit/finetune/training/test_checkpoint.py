"""A checkpoint on a full disk is none, and the error says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from finetune.training.checkpoint import Progress, checkpoints, write_checkpoint
from tests.unit.finetune.full_disk import files_end_at


def test_a_full_disk_leaves_no_checkpoint_and_is_named(tmp_path: Path):
    state = {"a": {"exp_avg": torch.zeros(30_000)}}
    with files_end_at(40_000), pytest.raises(OSError, match=r"optimiser\.pt cannot be written; is the disk full"):
        write_checkpoint(tmp_path, Progress(1), {"a": torch.zeros(10)}, state, keep=2)
    assert checkpoints(tmp_path) == []
    write_checkpoint(tmp_path, Progress(1), {"a": torch.zeros(10)}, state, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["step_000001"]
