from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.card import model_card
from finetune.config import RunSettings, parse_settings
from finetune.data.manifest import read_prepared
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


def card(settings: RunSettings, folder: Path) -> str:
    return model_card(folder, settings, read_prepared(settings.data), adapter_only=False)


def test_a_card_says_what_was_agreed_to_and_what_was_left_out(settings: RunSettings, tmp_path: Path):
    path = tmp_path / "data/prepared.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    about["settings"] = {"consent": "Leyla agreed to a public voice.", "licence": "CC-BY-4.0"}
    about["sums"] = {"clips": 12, "seconds": 600, "rejected": {"audio_noisy": 3}}
    path.write_text(json.dumps(about), encoding="utf-8")
    text = card(settings, tmp_path)
    assert "Leyla agreed to a public voice." in text
    assert "CC-BY-4.0" in text
    assert "12 clips, 10 minutes" in text
    assert "3 audio_noisy" in text


def test_a_card_says_plainly_that_nothing_was_said_and_nothing_measured(settings: RunSettings, tmp_path: Path):
    text = card(settings, tmp_path)
    assert "whoever shares this folder must say it here" in text
    assert "None were measured." in text


def test_figures_are_those_of_the_evaluation_or_else_of_the_best_check(settings: RunSettings, tmp_path: Path):
    checks = [
        {"kind": "check", "step": n, "loss": loss, "stop_rate": 0.5} for n, loss in ((1, 9.0), (2, 8.0), (3, 8.5))
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(check)}\n" for check in checks), encoding="utf-8")
    assert "check at step 2: held-out loss 8.000" in card(settings, tmp_path)
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation/evaluation.json").write_text('{"summary": {"stop_rate": 0.995}}', encoding="utf-8")
    assert "| stop_rate | 0.995 |" in card(settings, tmp_path)
