"""LJSpeech: `metadata.csv` of `id|text|normalised text` without header, sound in `wavs/`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from finetune.data.clip import Rejection, Utterance
from finetune.data.readers.rows import Row, inside, lines, text_of
from finetune.data.reasons import Reason, Rejected

_ENDINGS = ("", ".wav", ".flac", ".mp3", ".ogg", ".opus")


def read(folder: Path, *, speaker: str) -> Iterator[Row]:
    """Give a row a line; the text as it was said (first column) is normalised by ours, not by theirs."""
    others = _by_stem(folder / "wavs")
    for name, line in lines(folder / "metadata.csv"):
        if isinstance(line, Rejection):
            yield line
            continue
        cells = line.split("|")
        try:
            yield _utterance(folder, cells, speaker, others)
        except Rejected as verdict:
            yield Rejection(cells[0] or name, verdict.reason, verdict.detail)


def _utterance(folder: Path, cells: list[str], speaker: str, others: Mapping[str, str]) -> Utterance:
    if len(cells) not in (2, 3) or not cells[0]:
        raise Rejected(Reason.ROW_MALFORMED, f"{len(cells)} columns, not id|text|normalised")
    sound = _sound(folder, cells[0].strip(), others)
    return Utterance(cells[0], sound, text_of({"text": cells[1]}, "text"), speaker)


def _sound(folder: Path, identifier: str, others: Mapping[str, str]) -> Path:
    """Find the file of an id, with an ending or without; one that cannot be read is found too, to be told of."""
    candidates = [inside(folder, f"wavs/{identifier}{ending}") for ending in _ENDINGS]
    found = next((path for path in candidates if path.is_file()), None)
    return found or inside(folder, f"wavs/{others.get(identifier, f'{identifier}.wav')}")


def _by_stem(folder: Path) -> dict[str, str]:
    """Names of the files of a folder by what is before their ending: `.WAV`, `.m4a` and the like."""
    return {path.stem: path.name for path in sorted(folder.iterdir())} if folder.is_dir() else {}
