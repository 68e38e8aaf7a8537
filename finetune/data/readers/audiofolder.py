"""Hugging Face audiofolder: `metadata.csv` or `metadata.jsonl` whose `file_name` is relative to the folder."""

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
    jsonl = folder / "metadata.jsonl"
    for name, fields in json_lines(jsonl) if jsonl.exists() else table(folder / "metadata.csv", ","):
        yield fields if isinstance(fields, Rejection) else row(folder, name, fields, speaker)


def row(folder: Path, name: str, fields: Fields, speaker: str) -> Row:
    """Make an utterance of one entry."""
    file = ""
    try:
        file = file_of(fields, "file_name")
        voice = speaker_of(first(fields, *SPEAKERS), speaker)
        return Utterance(file.rsplit(".", 1)[0], inside(folder, file), text_of(fields, *TEXTS), voice)
    except Rejected as verdict:
        return Rejection(file or name, verdict.reason, verdict.detail)
