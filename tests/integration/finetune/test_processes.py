"""A run killed by the kernel goes on exactly, and two processes do what one does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finetune.config import RunSettings, parse_settings, write_settings
from finetune.training.loop import train
from tests.unit.finetune.prepared import write_prepared_folder
from tests.unit.finetune.tiny import Base

ROOT = Path(__file__).parents[3]


def settings(base: Base, folder: Path, name: str) -> RunSettings:
    return parse_settings(
        RunSettings,
        {
            "base": str(base.folder), "data": str(folder / "data"), "output": str(folder / name), "precision": "fp32",
            "method": {"type": "lora", "rank": 4, "alpha": 8, "dropout": 0.0, "learning_rate": 5e-3},
            "schedule": {"steps": 6}, "batches": {"positions_per_step": 160, "positions_per_batch": 60},
            "checks": {"every_steps": 3, "sentences": 2, "limit_s": 1}, "checkpoints": {"every_steps": 2},
        },
    )  # fmt: skip


def start(run: RunSettings, folder: Path, **environment: str) -> subprocess.Popen[str]:
    path = folder / f"{run.output.name}.yaml"
    write_settings(run, path)
    command = [sys.executable, str(Path(__file__).parent / "run_training.py"), str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=folder)


def record(run: RunSettings) -> list[dict[str, Any]]:
    rows = map(json.loads, (run.output / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.timeout(180)
def test_a_process_killed_in_the_middle_goes_on_with_the_same_losses(base: Base, tmp_path: Path):
    write_prepared_folder(tmp_path / "data")
    whole, killed = settings(base, tmp_path, "whole"), settings(base, tmp_path, "killed")
    process = start(killed, tmp_path)
    assert process.stdout is not None
    with process, process.stdout as lines:
        for line in lines:
            if line.startswith("step 5/"):
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    train(killed, lambda _: None)
    train(whole, lambda _: None)
    assert record(killed) == record(whole)


@pytest.mark.timeout(180)
def test_two_processes_do_what_one_does(base: Base, tmp_path: Path):
    write_prepared_folder(tmp_path / "data")
    alone, together = settings(base, tmp_path, "alone"), settings(base, tmp_path, "together")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        start(together, tmp_path, RANK=str(rank), LOCAL_RANK=str(rank), ACCELERATE_USE_CPU="true", **shared)
        for rank in range(2)
    ]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    train(alone, lambda _: None)
    ones, twos = record(alone), record(together)
    assert len(ones) == len(twos) == 8
    for one, two in zip(ones, twos, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
        if one["kind"] == "step":
            assert two["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=1e-3)
