"""The demonstration voice is taken only where it lies and has passed its gate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tts_engine.shipped import shipped_voice


def test_a_voice_whose_gate_held_is_given_with_its_temperature(tmp_path: Path) -> None:
    (tmp_path / "gate2.json").write_text(json.dumps({"held": True, "temperature": 0.6}), encoding="utf-8")
    found = shipped_voice(tmp_path)
    assert found is not None
    assert (found.folder, found.temperature) == (tmp_path, 0.6)


@pytest.mark.parametrize(
    "text", [None, '{"held": false, "temperature": 0.6}', '{"temperature": 0.6}', "[]", "{", '{"held": true}']
)
def test_a_voice_that_has_not_passed_is_not(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "gate2.json").write_text(text, encoding="utf-8")
    assert shipped_voice(tmp_path) is None
