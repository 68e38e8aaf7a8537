"""LJSpeech: `metadata.csv` of `id|text|normalised text` without header, sound in `wavs/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from finetune.data.clip import Rejection, Utterance
from finetune.data.readers.rows import Row, inside, lines, text_of
from finetune.data.reasons import Reason, Rejected

_ENDINGS = (".wav", ".flac", ".mp3", ".ogg", ".opus")


def read(folder: Path, *, speaker: str) -> Iterator[Row]:
    """Give a row a line; the text as it was said (first column) is normalised by ours, not by theirs."""
    for name, line in lines(folder / "metadata.csv"):
        if isinstance(line, Rejection):
            yield line
            continue
        cells = line.split("|")
        try:
            yield _utterance(folder, cells, speaker)
        except Rejected as verdict:
            yield Rejection(cells[0] or name, verdict.reason, verdict.detail)


def _utterance(folder: Path, cells: list[str], speaker: str) -> Utterance:
    if len(cells) not in (2, 3) or not cells[0]:
        raise Rejected(Reason.ROW_MALFORMED, f"{len(cells)} columns, not id|text|normalised")
    return Utterance(cells[0], _sound(folder, cells[0]), text_of({"text": cells[1]}, "text"), speaker)


def _sound(folder: Path, identifier: str) -> Path:
    candidates = [inside(folder, f"wavs/{identifier}{ending}") for ending in _ENDINGS]
    return next((path for path in candidates if path.exists()), candidates[0])
