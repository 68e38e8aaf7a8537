from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from finetune.errors import ConfigError
from finetune.training.record import Record
from tests.unit.finetune.full_disk import files_end_at


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


def test_a_run_that_is_started_twice_is_refused_the_second_time(tmp_path: Path):
    first = Record(tmp_path, step=0, tensorboard=False)
    first.add("step", 1, {"loss": 1.0})
    with pytest.raises(ConfigError, match="output: another process trains in"):
        Record(tmp_path, step=0, tensorboard=False)
    first.close()
    assert '"step": 1' in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
    Record(tmp_path, step=1, tensorboard=False).close()


def test_a_full_disk_costs_no_line_that_was_written(tmp_path: Path):
    first = Record(tmp_path, step=0, tensorboard=False)
    for step in (1, 2, 3):
        first.add("step", step, {"loss": 1.0 / step})
    first.close()
    before = (tmp_path / "metrics.jsonl").read_bytes()
    with files_end_at(len(before) // 2):
        Record(tmp_path, step=3, tensorboard=False).close()
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_tensorboard_gets_the_numbers_and_the_sounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    record = Record(tmp_path, step=0, tensorboard=True)
    record.add("step", 1, {"loss": 1.5, "perplexities": [1.0]})
    record.sounds(1, ["Salam."], [np.full(2400, 1.5, np.float32)])
    record.close()
    assert capsys.readouterr().out == ""
    (events,) = (tmp_path / "tensorboard").iterdir()
    held = events.read_bytes()
    assert b"step/loss" in held
    assert b"said/0" in held
    assert b"Salam." in held
    assert soundfile.read(tmp_path / "samples/step_000001/0.flac")[0].shape == (2400,)
    assert (tmp_path / "samples/step_000001/0.txt").read_text(encoding="utf-8") == "Salam.\n"


def test_tensorboard_without_its_package_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ConfigError, match="pip install tensorboardX"):
        Record(tmp_path, step=0, tensorboard=True)
