"""Hugging Face audiofolder: `metadata.csv` or `metadata.jsonl` whose `file_name` is relative to the folder it lies in.

There is one in the corpus folder, or else one in each split's folder below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from finetune.data.clip import Rejection, Utterance
from finetune.data.readers.rows import Fields, Row, file_of, first, inside, json_lines, speaker_of, table, text_of
from finetune.data.reasons import Rejected

TEXTS = ("text", "transcription", "sentence", "transcript")
SPEAKERS = ("speaker", "speaker_id", "source", "client_id")


def read(folder: Path, *, speaker: str) -> Iterator[Row]:
    """Give a row an entry, in the order of the metadata."""
    for path in metadata(folder) or [folder / "metadata.csv"]:
        below = path.parent.relative_to(folder).as_posix().removeprefix(".")
        for name, fields in json_lines(path) if path.suffix == ".jsonl" else table(path, ",;\t"):
            yield fields if isinstance(fields, Rejection) else _row(folder, below, name, fields, speaker)


def metadata(folder: Path) -> list[Path]:
    """Find the metadata: that of the folder itself, or else that of all folders below it."""
    for found in (folder.glob, folder.rglob):
        if lines := sorted(found("metadata.jsonl")):
            return lines
        if tables := sorted(path for path in found("metadata.csv") if _names_files(path)):
            return tables
    return []


def _names_files(path: Path) -> bool:
    with path.open("rb") as file:
        return b"file_name" in file.readline(400)


def _row(folder: Path, below: str, name: str, fields: Fields, speaker: str) -> Row:
    file = ""
    try:
        file = file_of(fields, "file_name")
        file = f"{below}/{file}" if below else file
        voice = speaker_of(first(fields, *SPEAKERS), speaker)
        return Utterance(file.rsplit(".", 1)[0], inside(folder, file), text_of(fields, *TEXTS), voice)
    except Rejected as verdict:
        return Rejection(file or name, verdict.reason, verdict.detail)
