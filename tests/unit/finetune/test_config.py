"""A run is what its YAML says, and a slip of the pen is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.config import Full, Lora, RunSettings, parse_settings, read_settings, write_settings
from finetune.errors import ConfigError

RUN = {"base": "b", "data": "d", "output": "o", "method": {"type": "lora"}, "schedule": {"steps": 10}}


def test_the_method_is_one_of_two_with_fields_of_its_own():
    assert isinstance(parse_settings(RunSettings, RUN).method, Lora)
    full = {**RUN, "method": {"type": "full", "learning_rate": 2e-5}}
    assert parse_settings(RunSettings, full).method == Full(type="full", learning_rate=2e-5)
    with pytest.raises(ConfigError, match=r"method.full.rank: is not a setting"):
        parse_settings(RunSettings, {**RUN, "method": {"type": "full", "rank": 8}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": {"step": 10}}, "schedule.steps: Field required"),
        ({"presicion": "bf16"}, "presicion: is not a setting; did you mean 'precision'"),
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
