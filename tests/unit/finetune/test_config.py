"""A run is what its YAML says, and a slip of the pen is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.config import Full, Lora, RunSettings, parse_settings, read_settings, write_settings
from finetune.data.settings import PrepareSettings
from finetune.errors import ConfigError

RUN = {"base": "b", "data": "d", "output": "o", "method": {"type": "lora"}, "schedule": {"steps": 10}}


def test_the_method_is_one_of_two_with_fields_of_its_own():
    assert isinstance(parse_settings(RunSettings, RUN).method, Lora)
    full = {**RUN, "method": {"type": "full", "learning_rate": 2e-5}}
    assert parse_settings(RunSettings, full).method == Full(type="full", learning_rate=2e-5)
    with pytest.raises(ConfigError, match=r"method.full.rank: is not a setting$"):
        parse_settings(RunSettings, {**RUN, "method": {"type": "full", "rank": 8}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": {"step": 10}}, "schedule.steps: Field required"),
        ({"presicion": "bf16"}, "presicion: is not a setting; did you mean 'precision'"),
        ({"learning_rate": 1e-4}, "learning_rate: is not a setting; did you mean 'method.learning_rate'"),
        ({"method": {"type": "full", "lerning_rate": 1e-4}}, "; did you mean 'method.learning_rate'"),
        ({"checks": {"limit_s": float("inf")}}, "checks.limit_s: Input should be a finite number"),
        ({"schedule": {"steps": 0}}, "schedule.steps: Input should be greater than or equal to 1"),
        ({"loss": {"depth_share": 0}}, "loss.depth_share"),
        ({"method": {"type": "lora", "targets": "(q_proj"}}, "is not a regular expression"),
        ({"method": {"type": "lora", "targets": ".*q_proj"}}, "matches Mimi's own attention"),
        ({"method": {"type": "dora"}}, "method"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, object], message: str):
    with pytest.raises(ConfigError) as caught:
        parse_settings(RunSettings, {**RUN, **change})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filters": {"snr_min": 10}}, "filters.snr_min: is not a setting; did you mean 'filters.snr_min_db'?"),
        ({"trim": {"lead": 80}}, "trim.lead: is not a setting; did you mean 'trim.lead_ms'?"),
        ({"seconds_max": 15}, "seconds_max: is not a setting; did you mean 'filters.seconds_max'?"),
        ({"filters": {"epochs": 3}}, "filters.epochs: is not a setting"),
        ({"filters": {"snr_min_db": float("nan")}}, "filters.snr_min_db: Input should be a finite number"),
    ],
)
def test_a_wrong_setting_of_a_corpus_is_named_with_the_one_of_its_own_that_is_meant(
    change: dict[str, object], message: str
):
    with pytest.raises(ConfigError) as caught:
        parse_settings(PrepareSettings, {"corpus": "a", "output": "b", "codec": "c", **change})
    assert str(caught.value) == message


def test_a_speaker_may_be_a_number():
    settings = parse_settings(PrepareSettings, {"corpus": "a", "output": "b", "codec": "c", "speaker": 3})
    assert settings.speaker == "3"


def test_a_file_is_read_with_overrides_and_written_to_be_read_again(tmp_path: Path):
    path = tmp_path / "run.yaml"
    path.write_text("base: b\ndata: d\noutput: o\nmethod: {type: lora}\nschedule: {steps: 10}\n", encoding="utf-8")
    run = read_settings(RunSettings, path, ["schedule.steps=7", "method.rank=8", "checks.patience=2"])
    assert (run.schedule.steps, run.checks.patience) == (7, 2)
    write_settings(run, path)
    assert read_settings(RunSettings, path) == run


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("base: [", [], "is not YAML"),
        ("- a", [], "must hold names and values"),
        ("base: b\nloss: {}\nbase: c", [], "base: is given twice in"),
        ("loss:\n  end_weight: 2\n  end_weight: 3", [], "end_weight: is given twice in"),
        ("base: b", ["steps"], "write it as section.name=value"),
        ("base: b", ["base=@b"], "base: '@b' is not YAML; quote it"),
        ("base: b", ["base.x=1"], "is a value, not a section"),
    ],
)
def test_a_file_that_is_no_run_says_why(tmp_path: Path, text: str, overrides: list[str], message: str):
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_settings(RunSettings, tmp_path / "run.yaml", overrides)
    with pytest.raises(ConfigError, match="is missing"):
        read_settings(RunSettings, tmp_path / "other.yaml")
