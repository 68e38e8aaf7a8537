"""Common Voice: `validated.tsv` (or `train.tsv`) of `path`, `sentence`, `client_id`; sound in `clips/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from finetune.data.clip import Rejection, Utterance
from finetune.data.readers.rows import Fields, Row, file_of, first, inside, speaker_of, table, text_of
from finetune.data.reasons import Rejected

TABLES = ("validated.tsv", "train.tsv")


def read(folder: Path, *, speaker: str) -> Iterator[Row]:
    """Give the rows of the first of `TABLES` that is there; a client is a speaker, by 16 letters of its long id."""
    path = next((folder / name for name in TABLES if (folder / name).exists()), folder / TABLES[0])
    for name, fields in table(path, "\t", quoting=False):
        yield fields if isinstance(fields, Rejection) else _row(folder, name, fields, speaker)


def _row(folder: Path, name: str, fields: Fields, speaker: str) -> Row:
    file = ""
    try:
        file = file_of(fields, "path")
        client = first(fields, "client_id")
        voice = speaker_of(client[:16] if isinstance(client, str) else client, speaker)
        return Utterance(file.rsplit(".", 1)[0], inside(folder, f"clips/{file}"), text_of(fields, "sentence"), voice)
    except Rejected as verdict:
        return Rejection(file or name, verdict.reason, verdict.detail)
