"""What the bot may say: sources to hold its answers against; given as WAVs, or learned from the first stage."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bot.loadtest.alignment import Alignment, Reference, align
from bot.loadtest.clips import read_wav
from bot.loadtest.sound import RATE_HZ, Samples

_LEAST_SHARE = 0.3  # of the voiced pieces up to the end of the answer; less is another text


class References:
    """Finds the source of an answer."""

    def __init__(self, known: Sequence[Reference] = ()) -> None:
        self._known = {reference.name: reference for reference in known}
        self._usual: dict[str, Reference] = {}  # what an answer of that name was last: looked at first

    def __len__(self) -> int:
        return len(self._known)

    def match(self, name: str, answer: Samples, *, until_s: float | None = None) -> tuple[Reference, Alignment] | None:
        """Lay an answer along the source of that name, else along the one that fits best."""
        likely = self._usual.get(name) or self._known.get(name)
        found = self._best([likely] if likely is not None else [], answer, until_s)
        found = found or self._best(list(self._known.values()), answer, until_s)
        if found is not None:
            self._usual[name] = found[0]
        return found

    @staticmethod
    def _best(
        candidates: Sequence[Reference], answer: Samples, until_s: float | None
    ) -> tuple[Reference, Alignment] | None:
        best: tuple[Reference, Alignment] | None = None
        for reference in candidates:
            found = align(reference, answer, until_s=until_s)
            if found is not None and (best is None or _fit(found) > _fit(best[1])):
                best = reference, found
        return best if best is not None and best[1].found_share >= _LEAST_SHARE else None


def _fit(found: Alignment) -> float:
    return found.found_share * found.found


def load_references(folder: Path) -> References:
    """Read NAME.wav, and the words from NAME.txt where it is there. A WAV may have any rate."""
    known: list[Reference] = []
    for path in sorted(folder.glob("*.wav")):
        text = path.with_suffix(".txt")
        known.append(Reference(path.stem, read_wav(path), text.read_text(encoding="utf-8") if text.is_file() else ""))
    return References(known)


def write_wav(path: Path, samples: Samples, rate_hz: int = RATE_HZ) -> None:
    """Write mono PCM16."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.asarray(samples, "<i2").tobytes())
