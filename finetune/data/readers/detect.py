"""Which reader a folder is for, by the files in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from finetune.data.readers import audiofolder, common_voice, conversations, jsonl, ljspeech, parquet
from finetune.data.readers.hub import corpus_folder
from finetune.data.readers.rows import Row
from finetune.data.settings import Format
from finetune.errors import CorpusError

Read = Callable[..., Iterator[Row]]

READERS: dict[str, Read] = {
    "ljspeech": ljspeech.read,
    "audiofolder": audiofolder.read,
    "jsonl": jsonl.read,
    "common_voice": common_voice.read,
    "parquet": parquet.read,
    "conversations": conversations.read,
}


def open_corpus(folder: Path, corpus_format: Format, *, speaker: str) -> Iterator[Row]:
    """Give the rows of a corpus; raises CorpusError if the folder is none that a reader knows."""
    folder = corpus_folder(folder)
    found = detect(folder) if corpus_format == "auto" else corpus_format
    rows = READERS[found](folder, speaker=speaker)
    try:
        yield from rows
    except FileNotFoundError as error:
        raise CorpusError(f"{folder} has not the files of the format {found!r}: {error}") from error


def detect(folder: Path) -> str:
    """Name the format; raises CorpusError with what was looked for."""
    if any((folder / name).exists() for name in common_voice.TABLES):
        return "common_voice"
    if audiofolder.metadata(folder)[:1] in ([folder / "metadata.jsonl"], [folder / "metadata.csv"]):
        return "audiofolder"
    if (folder / "metadata.csv").exists():
        return "ljspeech"
    if manifests := jsonl.manifests(folder):
        return "conversations" if _holds_turns(manifests[0]) else "jsonl"
    if audiofolder.metadata(folder):
        return "audiofolder"
    if next(folder.rglob("*.parquet"), None) is not None:
        return "parquet"
    raise CorpusError(
        f"{folder} has no manifest: neither metadata.csv, metadata.jsonl, another .jsonl or .json, validated.tsv nor "
        ".parquet (docs/finetune.md shows the six formats)"
    )


def _holds_turns(path: Path) -> bool:
    for raw in path.read_bytes().split(b"\n"):
        try:
            fields = json.loads(raw)
        except ValueError:
            continue
        if isinstance(fields, dict):
            return "turns" in fields
    return False
