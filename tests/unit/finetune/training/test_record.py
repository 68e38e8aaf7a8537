from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from finetune.errors import ConfigError
from finetune.training.record import Record


def test_a_record_that_goes_on_forgets_what_came_after_its_checkpoint(tmp_path: Path):
    first = Record(tmp_path, step=0, tensorboard=False)
    for step in (1, 2, 3):
        first.add("step", step, {"loss": 1.0 / step})
    first.close()
    second = Record(tmp_path, step=2, tensorboard=False)
    second.add("step", 3, {"loss": 0.0})
    second.close()
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 1.0), (2, 0.5), (3, 0.0)]


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is not None, reason="the package is installed")
def test_tensorboard_without_its_package_names_the_remedy(tmp_path: Path):
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        Record(tmp_path, step=0, tensorboard=True)
