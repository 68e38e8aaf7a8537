"""What listeners heard of a voice in real time: written down as it is heard, read back by whoever asked for it.

    python -m tests.gpu.heard FOLDER [SECONDS]       the table again, and by SECONDS, of files that `--heard` left

A file a process, a line an utterance or a second, so what a process has heard until it died counts too.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

HEAD = """\
| load | said | aborted | failed | first ms p50 | p95 | underruns | late p99 ms | max | audio s | server cores | vLLM \
| listeners | their stall ms |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"""
MINUTES_HEAD = """\
| begun | said | failed | first ms p50 | p95 | underruns | late p99 ms | max | their stall ms |
|---|--:|--:|--:|--:|--:|--:|--:|--:|"""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance, as who asked for it heard it."""

    began: float  # time.monotonic: one clock for all processes of a host
    outcome: Literal["said", "aborted", "failed"]
    first_ms: float | None  # from the request to the first audio, if any came
    late_ms: float | None  # the worst of the later chunks, if there was one; below 0: early
    audio_s: float


@dataclass(frozen=True, slots=True)
class Second:
    """How the process of listeners itself did."""

    at: float  # time.monotonic
    stall_ms: float  # the longest that their loop was held up since the last
    cpu_s: float  # since its beginning


class Notebook:
    """Writes down what a process hears, line by line."""

    def __init__(self, place: Path) -> None:
        self._file = place.open("a", buffering=1, encoding="utf-8")

    def write(self, item: Utterance | Second) -> None:
        self._file.write(json.dumps(asdict(item)) + "\n")

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class Heard:
    """What all listeners heard."""

    began: float = field(default_factory=time.monotonic)
    utterances: list[Utterance] = field(default_factory=list[Utterance])
    seconds: list[Second] = field(default_factory=list[Second])
    cpu_s: float = 0.0
    processes: int = 0
    lost: list[str] = field(default_factory=list[str])  # of each process that did not end well: which, when and why

    def read(self, place: Path) -> None:
        """Add what one process wrote; the end of a line that it did not get to write is left out."""
        lines = place.read_text("utf-8").splitlines(keepends=True) if place.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        own = [Second(**each) for each in found if "stall_ms" in each]
        self.utterances += [Utterance(**each) for each in found if "stall_ms" not in each]
        self.seconds += own
        self.cpu_s += own[-1].cpu_s if own else 0.0
        self.processes += 1


def row(name: str, heard: Heard, cores: tuple[float, float], took_s: float) -> str:
    """A line of the table."""
    if heard.lost:
        name += f", INCOMPLETE: {len(heard.lost)} of {heard.processes} listeners lost"
    aborted = sum(each.outcome == "aborted" for each in heard.utterances)
    said, failed, *figures = _figures(heard.utterances)
    cells = (name, said, str(aborted), failed, *figures, f"{sum(each.audio_s for each in heard.utterances):.0f}")
    own = f"{heard.cpu_s / took_s:.2f} | {_stall_ms(heard.seconds)}"
    return f"| {' | '.join(cells)} | {cores[0]:.2f} | {cores[1]:.2f} | {own} |"


def minutes(heard: Heard, every_s: float = 60.0) -> str:
    """Say the same of each minute in which utterances began, as a table: whether latency is flat."""

    def within(at: float) -> int:
        return int((at - heard.began) // every_s)

    lines: list[str] = []
    for n in sorted({within(each.began) for each in heard.utterances}):
        figures = _figures([each for each in heard.utterances if within(each.began) == n])
        stall_ms = _stall_ms([each for each in heard.seconds if within(each.at) == n])
        lines.append(f"| {n * every_s:.0f} to {(n + 1) * every_s:.0f} s | {' | '.join(figures)} | {stall_ms} |")
    return "\n".join([MINUTES_HEAD, *lines])


def _figures(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """Said, failed, first audio p50 and p95, underruns, lateness p99 and most."""
    failed = sum(each.outcome == "failed" for each in utterances)
    first = np.array([each.first_ms for each in utterances if each.first_ms is not None] or [np.nan])
    late = np.array([each.late_ms for each in utterances if each.late_ms is not None] or [np.nan])
    return (
        str(len(utterances) - failed),
        str(failed),
        *(f"{np.percentile(first, share):.0f}" for share in (50, 95)),
        str(int((late > 0).sum())),
        f"{np.percentile(late, 99):.0f}",
        f"{late.max():.0f}",
    )


def _stall_ms(seconds: Sequence[Second]) -> str:
    return f"{max((each.stall_ms for each in seconds), default=0.0):.0f}"


if __name__ == "__main__":
    left = Heard()
    for each in sorted(Path(sys.argv[1]).glob("*.jsonl")):
        left.read(each)
    left.began = min([each.began for each in left.utterances] + [each.at - 1.0 for each in left.seconds])
    lasted_s = max(each.at for each in left.seconds) - left.began
    print(HEAD)
    print(row(sys.argv[1], left, (float("nan"), float("nan")), lasted_s))
    print(minutes(left, float(sys.argv[2]) if len(sys.argv) > 2 else 60.0))
