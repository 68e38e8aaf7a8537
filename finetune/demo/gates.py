"""Gate 2: does the voice end and is it understood, so that it may be the one that `make demo` speaks by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finetune.errors import CorpusError

STOP_RATE_MIN = 0.95
ERROR_RATE_MAX = 0.30
FILE = "gate2.json"
"""Lies beside a voice's weights; `tts_engine.shipped` reads `held` and the temperature from it."""


@dataclass(frozen=True, slots=True)
class Gate2:
    """The best row of the adapted voice in Azerbaijani, beside what its source and its codec leave to be understood."""

    held: bool
    temperature: float
    sentences: int
    stop_rate: float
    error_rate: float
    source: float
    codec: float
    base: float | None

    def line(self) -> str:
        base = "not measured" if self.base is None else f"{self.base:.4f}"
        return (
            f"gate 2 {'HOLDS' if self.held else 'FAILS'}: stop rate {self.stop_rate:.3f} (at least {STOP_RATE_MIN}), "
            f"CER {self.error_rate:.4f} (at most {ERROR_RATE_MAX}) at temperature {self.temperature:g} over "
            f"{self.sentences} sentences; source {self.source:.4f}, codec {self.codec:.4f}, base {base}"
        )


def gate2(table: Sequence[Mapping[str, Any]], *, source: float, codec: float) -> Gate2:
    """Judge by the rows of `listen`; of several temperatures the one that ends often enough and errs least counts."""
    rows = [row for row in table if row["language"] == "az"]
    adapted = [row for row in rows if row["voice"] == "adapted"]
    if not adapted:
        raise CorpusError("nothing was heard of the adapted voice; `python -m finetune.demo listen` writes table.jsonl")
    best = min(adapted, key=lambda row: (row["stop_rate"] < STOP_RATE_MIN, row["error_rate"]))
    base = min((row["error_rate"] for row in rows if row["voice"] == "base"), default=None)
    held = best["stop_rate"] >= STOP_RATE_MIN and best["error_rate"] <= ERROR_RATE_MAX
    figures = {name: best[name] for name in ("temperature", "sentences", "stop_rate", "error_rate")}
    return Gate2(held, **figures, source=source, codec=codec, base=base)


def write_gate2(gate: Gate2, folder: Path) -> None:
    (folder / FILE).write_text(json.dumps(asdict(gate), indent=1), encoding="utf-8")
