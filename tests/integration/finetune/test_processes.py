"""A run killed by the kernel goes on exactly, and two processes do what one does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.config import RunSettings, parse_settings, write_settings
from finetune.training.loop import train
from tests.unit.finetune.prepared import write_prepared_folder
from tests.unit.finetune.tiny import Base
from tts_engine.model.checkpoint import Checkpoint

ROOT = Path(__file__).parents[3]


def settings(base: Base, folder: Path, name: str, **change: Any) -> RunSettings:
    return parse_settings(
        RunSettings,
        {
            "base": str(base.folder), "data": str(folder / "data"), "output": str(folder / name), "precision": "fp32",
            "method": {"type": "lora", "rank": 4, "alpha": 8, "dropout": 0.0, "learning_rate": 5e-3},
            "schedule": {"steps": 6}, "batches": {"positions_per_step": 160, "positions_per_batch": 60},
            "checks": {"every_steps": 3, "sentences": 2, "limit_s": 1}, "checkpoints": {"every_steps": 2},
            **change,
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


@pytest.mark.timeout(300)
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


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def run_both(run: RunSettings, folder: Path, **environment: str) -> None:
    """Start two processes that find each other, as `accelerate launch` does."""
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    finish([
        start(run, folder, RANK=str(rank), LOCAL_RANK=str(rank), ACCELERATE_USE_CPU="true", **shared, **environment)
        for rank in range(2)
    ])  # fmt: skip


def launch_both(run: RunSettings, folder: Path) -> None:
    """Start a run on two machines of one process each, by the command in the recipe for several nodes."""
    write_settings(run, folder / f"{run.output.name}.yaml")
    recipe = ROOT / "finetune/recipes/several_nodes_accelerate.yaml"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(recipe), "--num_processes", "2",
        "--main_process_ip", "127.0.0.1", "--main_process_port", free_port(),
    ]  # fmt: skip
    finish([
        subprocess.Popen(
            [*command, "--machine_rank", str(rank), "-m", "finetune", "train", str(folder / f"{run.output.name}.yaml")],
            env=environment, cwd=folder, stdout=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ])  # fmt: skip


def finish(processes: list[subprocess.Popen[str]]) -> None:
    try:
        for process in processes:
            process.communicate(timeout=200)
            assert process.returncode == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def assert_alike(one: RunSettings, other: RunSettings) -> None:
    ones, others = record(one), record(other)
    assert len(ones) == len(others) == 8
    for left, right in zip(ones, others, strict=True):
        assert right["loss"] == pytest.approx(left["loss"], rel=1e-4)
        if left["kind"] == "step":
            assert right["gradient_norm"] == pytest.approx(left["gradient_norm"], rel=1e-3)


@pytest.mark.timeout(300)
def test_two_machines_do_what_one_process_does_and_are_started_as_the_recipe_says(base: Base, tmp_path: Path):
    write_prepared_folder(tmp_path / "data")
    alone, together = settings(base, tmp_path, "alone"), settings(base, tmp_path, "together")
    launch_both(together, tmp_path)
    train(alone, lambda _: None)
    assert_alike(alone, together)


@pytest.mark.timeout(300)
def test_a_signal_that_reaches_one_process_ends_both_after_the_same_step(base: Base, tmp_path: Path):
    write_prepared_folder(tmp_path / "data")
    stopped = settings(base, tmp_path, "stopped")
    run_both(stopped, tmp_path, INTERRUPTED="1")
    assert [path.name for path in (stopped.output / "checkpoints").iterdir()] == ["step_000001"]
    assert "reason: interrupted" in (stopped.output / "result.yaml").read_text(encoding="utf-8")


@pytest.mark.timeout(300)
def test_two_processes_with_half_of_every_layer_do_what_one_does_and_one_goes_on(base: Base, tmp_path: Path):
    write_prepared_folder(tmp_path / "data")
    change: dict[str, Any] = {"method": {"type": "full", "learning_rate": 1e-3}, "gradient_checkpointing": True}
    alone = settings(base, tmp_path, "alone", **change)
    halves = settings(base, tmp_path, "halves", sharding="layers", **change)
    run_both(halves, tmp_path)
    train(alone, lambda _: None)
    assert_alike(alone, halves)
    one, other = (Checkpoint(run.output / "last") for run in (alone, halves))
    for name in one.names():
        torch.testing.assert_close(other.tensor(name), one.tensor(name), rtol=1e-3, atol=1e-4)
    # a single process goes on from what two have left, with whole weights and their state
    shutil.rmtree(halves.output / "checkpoints/step_000006")
    train(halves, lambda _: None)
    assert_alike(alone, halves)
