from __future__ import annotations

from pathlib import Path

import pytest

from finetune.config import RunSettings, parse_settings
from finetune.demo.deadline import train_until
from tests.unit.finetune.prepared import write_prepared_folder
from tests.unit.finetune.tiny import Base


@pytest.fixture
def settings(base: Base, tmp_path: Path) -> RunSettings:
    raw = {
        "base": str(base.folder), "data": write_prepared_folder(tmp_path / "data"), "output": tmp_path / "run",
        "method": {"type": "lora", "rank": 2}, "schedule": {"steps": 5}, "precision": "fp32",
        "checks": {"sentences": 0, "every_steps": 100},
    }  # fmt: skip
    return parse_settings(RunSettings, raw)


def test_a_run_with_time_enough_takes_all_its_steps(settings: RunSettings) -> None:
    result = train_until(settings, lambda: 1e6, lambda _: None, trial_steps=2, end_s=0.0)
    assert (result.reason, result.steps) == ("finished", 5)


def test_a_run_without_time_takes_one_step_and_is_whole(settings: RunSettings) -> None:
    told: list[str] = []
    result = train_until(settings, lambda: 3.0, told.append, trial_steps=2, end_s=10.0)
    assert (result.reason, result.steps) == ("finished", 1)
    assert "1 steps" in told[0]
    assert (settings.output / "best").exists()
    assert not settings.output.with_name("run-trial").exists()
