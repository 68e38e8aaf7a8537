from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.flows.live import LiveFlow
from bot.flows.problems import FlowFileError
from tests.fakes.flows import ENDS, FRAME

_TEXT = f"{FRAME}start: end\nstates:\n{ENDS}"


def _write(path: Path, text: str, at: int) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(at, at))


def test_new_calls_get_the_new_version_and_old_ones_keep_theirs(tmp_path: Path) -> None:
    path = tmp_path / "a.flow.yaml"
    _write(path, _TEXT, 1)
    live = LiveFlow(path)
    first, version = live.current(), live.version
    assert live.refresh() is False
    assert live.current() is first
    _write(path, _TEXT.replace("id: test", "id: changed"), 2)
    assert live.refresh() is True
    assert live.current().id == "changed"
    assert live.version != version
    assert first.id == "test"


def test_an_invalid_file_is_refused_and_the_old_version_stays_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "a.flow.yaml"
    _write(path, _TEXT, 1)
    live = LiveFlow(path)
    _write(path, _TEXT.replace("start: end", "start: nowhere"), 2)
    assert live.refresh() is False
    assert live.current().start == "end"
    assert live.problem is not None
    assert "nowhere" in str(live.problem)
    _write(path, _TEXT.replace("id: test", "id: mended"), 3)
    assert live.refresh() is True
    assert live.current().id == "mended"
    assert live.problem is None


def test_a_file_that_goes_away_leaves_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "a.flow.yaml"
    _write(path, _TEXT, 1)
    live = LiveFlow(path)
    path.unlink()
    assert live.refresh() is False
    assert live.current().id == "test"
    assert live.problem is not None
    _write(path, _TEXT, 1)
    assert live.refresh() is True
    assert live.problem is None


def test_the_first_version_must_be_valid(tmp_path: Path) -> None:
    path = tmp_path / "a.flow.yaml"
    _write(path, "version: 1\n", 1)
    with pytest.raises(FlowFileError):
        LiveFlow(path)


def test_an_edited_include_is_a_new_version_and_one_that_is_not_used_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.flows.loader._INCLUDES", tmp_path)
    _write(tmp_path / "shared.yaml", "variables: {operator: a}\n", 1)
    _write(tmp_path / "other.yaml", "variables: {x: a}\n", 1)
    path = tmp_path / "a.flow.yaml"
    _write(path, _TEXT.replace("start: end", "include: [shared]\nstart: end"), 1)
    live = LiveFlow(path)
    version = live.version
    _write(tmp_path / "other.yaml", "variables: {y: a}\n", 2)
    assert live.refresh() is False
    assert live.version == version
    _write(tmp_path / "shared.yaml", "variables: {operator: a, more: b}\n", 2)
    assert live.refresh() is True
    assert live.version != version
    assert "more" in live.current().variables
