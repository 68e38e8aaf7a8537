"""JSON lines, as NeMo writes them and others nearly: a file, perhaps a part of it, its text, its speaker.

`audio` (or `audio_filepath`, `path`, `file`), `text`, `speaker`; `start` and `end`, or NeMo's `offset` and
`duration`; `words`: [{"text", "start", "end"}] in seconds from the start, with which a long recording can be split.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finetune.data.clip import Rejection, Utterance, Word
from finetune.data.readers.audiofolder import SPEAKERS, TEXTS
from finetune.data.readers.rows import (
    Fields,
    Row,
    file_of,
    first,
    inside,
    json_lines,
    seconds_of,
    speaker_of,
    text_of,
)
from finetune.data.reasons import Reason, Rejected

AUDIO = ("audio", "audio_filepath", "path", "file")


def read(folder: Path, *, speaker: str) -> Iterator[Row]:
    """Give the rows of all manifests of the folder, file after file."""
    for path in manifests(folder):
        for name, fields in json_lines(path):
            yield fields if isinstance(fields, Rejection) else row(folder, name, fields, speaker)


def manifests(folder: Path) -> list[Path]:
    """Find the folder's files of JSON lines: `*.jsonl`, or else those `*.json` that NeMo calls its manifests."""
    return sorted(folder.glob("*.jsonl")) or sorted(path for path in folder.glob("*.json") if _is_manifest(path))


def _is_manifest(path: Path) -> bool:
    """Is its first line an object that names sound, unlike that of a file which is one object."""
    with path.open("rb") as file:
        try:
            fields = json.loads(file.readline(1_000_000))
        except ValueError:
            return False
    return isinstance(fields, dict) and any(name in fields for name in (*AUDIO, "turns"))


def row(folder: Path, name: str, fields: Fields, speaker: str) -> Row:
    """Make an utterance of one object."""
    given = first(fields, "id")
    try:
        file = file_of(fields, *AUDIO)
        start, end = _times(fields)
        part = "" if start is None else f"@{start:g}"
        return Utterance(
            id=str(given) if given is not None else file.rsplit(".", 1)[0] + part,
            sound=inside(folder, file),
            text=text_of(fields, *TEXTS),
            speaker=speaker_of(first(fields, *SPEAKERS), speaker),
            start_s=start,
            end_s=end,
            words=words_of(fields.get("words")),
        )
    except Rejected as verdict:
        return Rejection(str(given) if given is not None else name, verdict.reason, verdict.detail)


def _times(fields: Fields) -> tuple[float | None, float | None]:
    start = seconds_of(first(fields, "start", "offset"), "start")
    end = seconds_of(fields.get("end"), "end")
    # without a start, a duration describes the whole file
    if end is None and start is not None:
        duration = seconds_of(fields.get("duration"), "duration")
        end = None if duration is None else start + duration
    if end is not None and end <= (start or 0.0):
        raise Rejected(Reason.SEGMENT_INVALID, f"{start} to {end} s")
    return start, end


def words_of(value: Any) -> tuple[Word, ...]:  # noqa: ANN401 - a cell of a manifest can be anything
    """Check word times: in order, none before the one before."""
    if value is None:
        return ()
    try:
        given = [(str(w.get("text", w.get("word"))), w["start"], w["end"]) for w in value]
    except (TypeError, KeyError, AttributeError):
        raise Rejected(Reason.ROW_MALFORMED, "words are not objects of text, start and end") from None
    words = tuple(Word(text, _time_of(start), _time_of(end)) for text, start, end in given)
    ends = [0.0, *(word.end_s for word in words)]
    if any(
        word.start_s < before - 0.02 or word.end_s < word.start_s for word, before in zip(words, ends, strict=False)
    ):
        raise Rejected(Reason.SEGMENT_INVALID, "the words' times are not in order")
    return words


def _time_of(value: object) -> float:
    seconds = seconds_of(value, "a word's time")
    if seconds is None:
        raise Rejected(Reason.SEGMENT_INVALID, "a word has no time")
    return seconds
