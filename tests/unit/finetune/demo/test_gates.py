"""Gate 2 is read off the table of what was heard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.demo.gates import FILE, gate2, write_gate2
from finetune.errors import CorpusError
from tts_engine.shipped import shipped_voice


def row(voice: str, temperature: float, stop_rate: float, error_rate: float, language: str = "az") -> dict[str, Any]:
    return {
        "voice": voice, "language": language, "sentences": 100, "temperature": temperature,
        "stop_rate": stop_rate, "error_rate": error_rate,
    }  # fmt: skip


TABLE = [row("base", 0.6, 0.9, 0.7), row("base", 0.6, 1.0, 0.1, "tr")]


@pytest.mark.parametrize(
    ("heard", "held", "temperature"),
    [
        ([(0.3, 0.96, 0.2), (0.6, 1.0, 0.1), (0.9, 0.9, 0.05)], True, 0.6),
        ([(0.3, 0.94, 0.1), (0.6, 0.95, 0.3)], True, 0.6),
        ([(0.3, 0.94, 0.1), (0.6, 0.9, 0.2)], False, 0.3),
        ([(0.3, 1.0, 0.31)], False, 0.3),
    ],
)
def test_the_temperature_that_ends_often_enough_and_errs_least_is_judged(
    heard: list[tuple[float, float, float]], held: bool, temperature: float
) -> None:
    found = gate2([*TABLE, *(row("adapted", *figures) for figures in heard)], source=0.01, codec=0.02)
    assert (found.held, found.temperature, found.base) == (held, temperature, 0.7)
    assert ("HOLDS" if held else "FAILS") in found.line()


def test_the_server_reads_what_the_gate_wrote(tmp_path: Path) -> None:
    write_gate2(gate2([row("adapted", 0.6, 1.0, 0.1)], source=0.01, codec=0.02), tmp_path)
    assert json.loads((tmp_path / FILE).read_text(encoding="utf-8"))["base"] is None
    found = shipped_voice(tmp_path)
    assert found is not None
    assert found.temperature == 0.6


def test_nothing_heard_is_no_verdict() -> None:
    with pytest.raises(CorpusError, match="listen"):
        gate2(TABLE, source=0.01, codec=0.02)
