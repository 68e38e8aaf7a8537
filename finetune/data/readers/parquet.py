"""Local parquet files as the Hugging Face `datasets` library writes them: `audio` of bytes and path, and a text."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finetune.data.clip import Rejection, Utterance
from finetune.data.readers.audiofolder import SPEAKERS, TEXTS
from finetune.data.readers.rows import Fields, Row, first, inside, speaker_of, text_of
from finetune.data.reasons import Reason, Rejected
from finetune.errors import CorpusError


def read(folder: Path, *, speaker: str) -> Iterator[Row]:
    """Give the rows of all parquet files below the folder, few at a time."""
    if importlib.util.find_spec("pyarrow") is None:
        raise CorpusError("parquet needs pyarrow: pip install pyarrow")
    import pyarrow.parquet  # noqa: PLC0415 - heavy, and only this format needs it

    for path in sorted(folder.rglob("*.parquet")):
        # with its folders: the hub's conversion has a 0000.parquet for each split
        name = path.relative_to(folder).with_suffix("").as_posix()
        number = 0
        try:
            for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=64):
                for fields in batch.to_pylist():
                    number += 1
                    yield _row(folder, f"{name}-{number:06d}", fields, speaker)
        except (pyarrow.ArrowException, OSError) as error:
            yield Rejection(f"{name}.parquet", Reason.ROW_MALFORMED, f"after {number} rows: {error}")


def _row(folder: Path, name: str, fields: Fields, speaker: str) -> Row:
    try:
        text = text_of(fields, *TEXTS)
        return Utterance(name, _sound(folder, fields.get("audio")), text, speaker_of(first(fields, *SPEAKERS), speaker))
    except Rejected as verdict:
        return Rejection(name, verdict.reason, verdict.detail)


def _sound(folder: Path, audio: Any) -> Path | bytes:  # noqa: ANN401 - a cell can be anything
    if isinstance(audio, bytes):
        return audio
    if isinstance(audio, dict) and isinstance(audio.get("bytes"), bytes):
        return audio["bytes"]
    path = audio.get("path") if isinstance(audio, dict) else audio
    if not isinstance(path, str):
        raise Rejected(Reason.AUDIO_MISSING, "neither bytes nor path")
    return inside(folder, path)
