from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from finetune.card import model_card
from finetune.config import RunSettings, parse_settings
from finetune.data.manifest import read_prepared
from finetune.errors import ConfigError
from finetune.evaluation.evaluate import Evaluation, Measured
from finetune.training.servable import digest
from tests.unit.finetune.prepared import write_prepared_folder


@pytest.fixture
def settings(tmp_path: Path) -> RunSettings:
    write_prepared_folder(tmp_path / "data")
    return parse_settings(
        RunSettings,
        {
            "base": "sesame/csm-1b", "data": str(tmp_path / "data"), "output": str(tmp_path), "schedule": {"steps": 3},
            "method": {"type": "lora"},
        },
    )  # fmt: skip


ONE = Measured("Salam.", 0, "sounds/000.flac", True, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1)


def card(settings: RunSettings, weights: Path) -> str:
    return model_card(weights.parent, settings, read_prepared(settings.data), weights, adapter_only=False)


def written(folder: Path, weights: bytes) -> Path:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_card_says_what_was_agreed_to_and_what_was_left_out(settings: RunSettings, tmp_path: Path):
    path = tmp_path / "data/prepared.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    about["settings"] = {"consent": "Leyla agreed to a public voice.", "licence": "CC-BY-4.0"}
    about["sums"] = {"clips": 12, "seconds": 600, "rejected": {"audio_noisy": 3}}
    path.write_text(json.dumps(about), encoding="utf-8")
    text = card(settings, tmp_path / "best")
    assert "Leyla agreed to a public voice." in text
    assert "CC-BY-4.0" in text
    assert "12 clips, 10 minutes" in text
    assert "3 audio_noisy" in text


def test_a_card_says_plainly_that_nothing_was_said_and_nothing_measured(settings: RunSettings, tmp_path: Path):
    text = card(settings, tmp_path / "best")
    assert "whoever shares this folder must say it here" in text
    assert "None were measured." in text


def test_figures_are_those_of_the_evaluation_of_these_weights_or_else_of_their_check(
    settings: RunSettings, tmp_path: Path
):
    best, last = written(tmp_path / "best", b"best"), written(tmp_path / "last", b"last")
    rates = ((1, 9.0, 0.0), (2, 8.0, 0.0), (3, 8.5, 1.0), (4, 8.6, 1.0))
    rows = [{"kind": "check", "step": n, "loss": loss, "stop_rate": stops} for n, loss, stops in rates]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    # the best is the one that ends when it has spoken, not the one of the least loss
    assert "check at step 3: held-out loss 8.500, stop rate 1.00" in card(settings, best)
    assert "check at step 4: held-out loss 8.600" in card(settings, last)
    evaluation = Evaluation({"stop_rate": 0.995}, (), (ONE, replace(ONE, seed=1)), digest(best))
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation/evaluation.json").write_text(json.dumps(asdict(evaluation)), encoding="utf-8")
    assert "of 1 sentences said 2 times in all" in card(settings, best)
    assert "| stop_rate | 0.995 |" in card(settings, best)
    assert "0.995" not in card(settings, last)
    assert "`evaluation` is of another checkpoint" in card(settings, last)


def test_a_run_that_went_on_after_its_last_check_has_no_figures_of_its_last_weights(
    settings: RunSettings, tmp_path: Path
):
    rows = [{"kind": "check", "step": 4, "loss": 8.0, "stop_rate": 1.0}, {"kind": "step", "step": 5, "loss": 7.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    assert "None were measured." in card(settings, written(tmp_path / "last", b"last"))


def test_a_torn_evaluation_is_named(settings: RunSettings, tmp_path: Path):
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation/evaluation.json").write_text('{"summary": {', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"evaluation\.json is torn"):
        card(settings, written(tmp_path / "best", b"best"))


def test_a_speakers_name_stays_in_its_cell(settings: RunSettings, tmp_path: Path):
    path = tmp_path / "data/prepared.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**about, "voices": {"a|b": 0}}), encoding="utf-8")
    assert "| 0 | a&#124;b |" in card(settings, tmp_path / "best")
