"""A run learns, stops when it no longer helps, and goes on after a kill as if nothing had been."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from finetune.config import RunSettings, parse_settings
from finetune.errors import ConfigError, TrainingError
from finetune.training.checkpoint import checkpoints, read_progress
from finetune.training.loop import Result, train
from tests.unit.finetune.prepared import write_prepared_folder
from tests.unit.finetune.tiny import Base
from tts_engine.model.checkpoint import Checkpoint
from tts_engine.model.errors import CheckpointError


class Killed(BaseException):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared_folder(tmp_path_factory.mktemp("data") / "prepared")


def settings(base: Base, data: Path, output: Path, **change: Any) -> RunSettings:
    plain = {
        "base": str(base.folder), "data": str(data), "output": str(output), "precision": "fp32",
        "method": {"type": "lora", "rank": 4, "alpha": 8, "dropout": 0.1, "learning_rate": 5e-3},
        "schedule": {"steps": 6}, "batches": {"positions_per_step": 120, "positions_per_batch": 80},
        "checks": {"every_steps": 3, "sentences": 0}, "checkpoints": {"every_steps": 2},
    }  # fmt: skip
    return parse_settings(RunSettings, {**plain, **change})


def record(output: Path, kind: str = "step") -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows if row["kind"] == kind]


def killed_at(step: int):
    def tell(message: str) -> None:
        if message.startswith(f"step {step}/"):
            raise Killed

    return tell


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def whole(base: Base, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "run"
    assert train(settings(base, data, output), quiet) == Result("finished", 6, train_best(output))
    return output


def train_best(output: Path):
    return read_progress(checkpoints(output / "checkpoints")[-1]).best


@pytest.mark.parametrize("step", [1, 2, 3, 5, 6])
def test_a_run_killed_at_any_step_goes_on_with_the_same_losses(
    base: Base, data: Path, whole: Path, tmp_path: Path, step: int
):
    run = settings(base, data, tmp_path / "run")
    with pytest.raises(Killed):
        train(run, killed_at(step))
    (tmp_path / "run/checkpoints/.step_000099.partial").mkdir(parents=True)
    with (tmp_path / "run/metrics.jsonl").open("a") as file:
        file.write('{"kind": "step", "step')
    train(run, quiet)
    assert record(tmp_path / "run") == record(whole)
    assert record(tmp_path / "run", "check") == record(whole, "check")
    for name in ("checkpoints/step_000006/optimiser.pt", "checkpoints/step_000006/weights.safetensors", *SERVED):
        left, right = (tensors(p / name) for p in (tmp_path / "run", whole))
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left), name


SERVED = ("best/adapter_model.safetensors", "last/adapter_model.safetensors")


def tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a file of weights, or an optimiser's state by weight and kind."""
    if path.suffix == ".safetensors":
        return load_file(path)
    state = torch.load(path, weights_only=True)
    return {f"{name}.{kind}": value for name, own in state.items() for kind, value in own.items()}


def test_a_run_that_died_while_its_best_was_replaced_has_it_again(base: Base, data: Path, tmp_path: Path):
    run = settings(base, data, tmp_path / "run", schedule={"steps": 3})
    train(run, quiet)
    (tmp_path / "run/best").rename(tmp_path / "run/.best.old")
    before = (tmp_path / "run/run.yaml").stat().st_mtime_ns
    train(run, quiet)
    assert (tmp_path / "run/best/adapter_model.safetensors").exists()
    assert (tmp_path / "run/run.yaml").stat().st_mtime_ns == before


def test_the_folder_holds_the_run_its_record_and_what_serves(base: Base, whole: Path):
    names = {path.name for path in whole.iterdir()}
    assert names == {".lock", "run.yaml", "result.yaml", "metrics.jsonl", "checkpoints", "best", "last"}
    assert [path.name for path in checkpoints(whole / "checkpoints")] == ["step_000004", "step_000006"]
    assert "finished" in (whole / "result.yaml").read_text(encoding="utf-8")
    changed = Checkpoint(base.folder, adapter=whole / "best")
    name = "backbone_model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(changed.tensor(name), Checkpoint(base.folder).tensor(name))


def test_training_lowers_the_loss_in_both_parts(base: Base, data: Path, tmp_path: Path):
    run = settings(
        base, data, tmp_path, schedule={"steps": 30}, checks={"every_steps": 100, "sentences": 2, "limit_s": 1}
    )
    train(run, quiet)
    steps = record(tmp_path)
    for part in ("codebook0", "depth"):
        assert steps[-1][part] < steps[0][part] - 0.05
    assert 0 <= record(tmp_path, "check")[0]["stop_rate"] <= 1


def test_a_run_that_no_longer_gets_better_stops_and_keeps_the_best(base: Base, data: Path, tmp_path: Path):
    run = settings(
        base, data, tmp_path, schedule={"steps": 60, "warmup_share": 0.0},
        method={"type": "lora", "rank": 8, "alpha": 32, "learning_rate": 0.05, "heads_learning_rate": 0.05},
        checks={"every_steps": 2, "sentences": 0, "patience": 2},
    )  # fmt: skip
    result = train(run, quiet)
    assert result.reason == "stale"
    assert result.steps < 60
    checks = record(tmp_path, "check")
    assert result.best is not None
    assert result.best.loss == min(check["loss"] for check in checks)
    assert result.steps == result.best.step + 4


def test_full_training_writes_a_whole_checkpoint(base: Base, data: Path, tmp_path: Path):
    run = settings(base, data, tmp_path, method={"type": "full", "learning_rate": 1e-3}, schedule={"steps": 2})
    train(run, quiet)
    base_tensors, trained = Checkpoint(base.folder), Checkpoint(tmp_path / "best")
    for name in base_tensors.names():
        assert torch.equal(base_tensors.tensor(name), trained.tensor(name)) is ("codec_model" in name), name
    assert trained.audio_table() is not None


def test_an_interrupted_run_saves_and_says_so(base: Base, data: Path, tmp_path: Path):
    assert train(settings(base, data, tmp_path), quiet, lambda: True).reason == "interrupted"
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["step_000001"]


def test_a_run_whose_base_is_not_there_leaves_its_folder_to_the_next(base: Base, data: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match="nowhere"):
        train(settings(base, data, tmp_path / "run").model_copy(update={"base": str(tmp_path / "nowhere")}), quiet)
    assert train(settings(base, data, tmp_path / "run", schedule={"steps": 1}), quiet).steps == 1


def test_the_folder_of_another_run_is_refused(base: Base, data: Path, whole: Path):
    with pytest.raises(ConfigError, match=r"seed: .* has another value"):
        train(settings(base, data, whole, seed=5), quiet)


def test_a_run_that_diverges_ends_with_advice(base: Base, data: Path, tmp_path: Path):
    run = settings(base, data, tmp_path, method={"type": "full", "learning_rate": 0.9}, loss={"codebook0_weight": 1e38})
    with pytest.raises(TrainingError, match="lower the learning rates"):
        train(run, quiet)


def test_a_device_without_memory_for_a_batch_ends_with_advice(
    base: Base, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("finetune.training.loop.optimiser_step", full)
    with pytest.raises(TrainingError, match=r"lower batches\.positions_per_batch \(80\), or set gradient"):
        train(settings(base, data, tmp_path), quiet)


def test_bfloat16_and_gradient_checkpointing_run_too(base: Base, data: Path, tmp_path: Path):
    run = settings(base, data, tmp_path, precision="bf16", gradient_checkpointing=True, schedule={"steps": 2})
    assert train(run, quiet).steps == 2


def test_a_run_with_a_deadline_stretches_its_schedule_to_it(base: Base, data: Path, tmp_path: Path):
    left = iter([100.0, *(100.0 - step for step in range(30)), *(4.0 * step for step in range(10, -1, -1))])
    run = settings(base, data, tmp_path, schedule={"steps": 1000})
    result = train(run, quiet, left_s=lambda: next(left))
    assert (result.reason, result.steps) == ("finished", 41)
    rates = [row["rate"] for row in record(tmp_path)]
    assert rates.index(max(rates)) in range(20, 30)
    assert rates[-1] < 0.2
    assert (tmp_path / "best").exists()


def test_a_run_without_time_takes_one_step_and_is_whole(base: Base, data: Path, tmp_path: Path):
    result = train(settings(base, data, tmp_path), quiet, left_s=lambda: -7.0)
    assert (result.reason, result.steps) == ("finished", 1)
    assert (tmp_path / "best").exists()


def test_a_run_with_more_time_than_steps_takes_its_steps(base: Base, data: Path, tmp_path: Path):
    result = train(settings(base, data, tmp_path), quiet, left_s=lambda: 1e6)
    assert (result.reason, result.steps) == ("finished", 6)


def test_training_attends_by_kernels_that_need_no_plan_for_each_shape(base: Base, data: Path, tmp_path: Path):
    torch.backends.cuda.enable_cudnn_sdp(True)
    train(settings(base, data, tmp_path, schedule={"steps": 1}), quiet)
    assert not torch.backends.cuda.cudnn_sdp_enabled()


def test_a_run_does_not_go_on_with_another_corpus(base: Base, tmp_path: Path):
    run = settings(base, write_prepared_folder(tmp_path / "data"), tmp_path / "run", schedule={"steps": 1})
    train(run, quiet)
    shutil.rmtree(tmp_path / "data")
    write_prepared_folder(tmp_path / "data", clips=13)
    with pytest.raises(ConfigError, match=r"data: .* is not what .*step_000001 learnt from: name a new output"):
        train(run, quiet)
    # nor does a checkpoint that does not know its corpus, if it trained rows of other words
    path = tmp_path / "run/checkpoints/step_000001/progress.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "corpus": ""}), "utf-8")
    manifest = tmp_path / "data/manifest.jsonl"
    manifest.write_text(manifest.read_text("utf-8").replace("Salam", "Salam fjwqx"), "utf-8")
    with pytest.raises(TrainingError, match=r"of another base, method or corpus: .* has another shape"):
        train(run, quiet)


def test_samples_for_which_there_is_no_room_are_counted(base: Base, data: Path, tmp_path: Path):
    told: list[str] = []
    run = settings(
        base, data, tmp_path / "run", schedule={"steps": 1}, batches={"positions_max": 40, "positions_per_batch": 80}
    )
    train(run, told.append)
    assert [line for line in told if re.fullmatch(r"[1-9] of 12 samples have more than 40 positions and .*", line)]
