"""What all readers share: text lines that may be broken, paths that may lead out, fields that may be missing."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unicodedata import normalize

from finetune.data.clip import Rejection, Utterance
from finetune.data.reasons import Reason, Rejected

Row = Utterance | Rejection
Fields = Mapping[str, Any]

_HALF = "\\ud"
_FORMS = ("NFC", "NFD")
"""`ş` is one letter or two: manifests mostly have one, files that were on a Mac mostly two."""


def lines(path: Path) -> Iterator[tuple[str, str | Rejection]]:
    """Name and text of each line that is not empty, however lines end; a line that is not UTF-8 is a rejection."""
    for number, raw in enumerate(path.read_bytes().splitlines(), start=1):
        name = f"{path.name}:{number}"
        if not raw.strip():
            continue
        try:
            yield name, raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            yield name, Rejection(name, Reason.ROW_BAD_ENCODING, str(error))


def json_lines(path: Path) -> Iterator[tuple[str, Fields | Rejection]]:
    """Objects of a JSONL file by the name of their line."""
    for name, line in lines(path):
        if isinstance(line, Rejection):
            yield name, line
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:  # numbers too long and lists too deep too
            yield name, Rejection(name, Reason.ROW_MALFORMED, f"no JSON: {error}")
            continue
        if _HALF in line.lower() and not _encodable(fields):
            yield name, Rejection(name, Reason.ROW_BAD_ENCODING, "half of a surrogate pair")
            continue
        yield name, fields if isinstance(fields, dict) else Rejection(name, Reason.ROW_MALFORMED, "no object")


def table(path: Path, delimiters: str, *, quoting: bool = True) -> Iterator[tuple[str, Fields | Rejection]]:
    """Rows of a table whose first line names the columns, parted by the delimiter that is most often in it.

    A row holds no line breaks: half of a text in quotes would be taken for the whole.
    """
    header: list[str] | None = None
    delimiter = delimiters[0]
    for name, line in lines(path):
        if isinstance(line, Rejection):
            yield name, line
            continue
        if header is None:
            delimiter = max(delimiters, key=line.count)
        try:
            cells = _cells(line, delimiter, quoting=quoting)
        except csv.Error as error:
            yield name, Rejection(name, Reason.ROW_MALFORMED, str(error))
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
        elif len(cells) != len(header):
            yield name, Rejection(name, Reason.ROW_MALFORMED, f"{len(cells)} columns, not {len(header)}")
        else:
            yield name, dict(zip(header, cells, strict=True))


def _cells(line: str, delimiter: str, *, quoting: bool) -> list[str]:
    """Part a line into cells; raises csv.Error, for a quote that is not closed in the line too."""
    style = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
    try:
        return next(csv.reader([line], delimiter=delimiter, quoting=style, skipinitialspace=quoting, strict=True))
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise csv.Error("a quote is opened and not closed in the line; write a text in one line") from None
        # marks behind a closing quote: people's tables have them
        return next(csv.reader([line], delimiter=delimiter, quoting=style, skipinitialspace=quoting))


def inside(folder: Path, name: str) -> Path:
    """Find a file that a manifest names; raises Rejected if the path leads out of the corpus, by links too."""
    path = folder / name
    try:
        if not path.exists():
            path = next((other for form in _FORMS if (other := folder / normalize(form, name)).exists()), path)
        within = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        # too long, with a zero in it, or a link to itself; found here, since later it would end the run
        raise Rejected(Reason.AUDIO_MISSING, f"no file can be called {name[:80]!r}") from None
    if not within:
        raise Rejected(Reason.AUDIO_OUTSIDE_FOLDER, name)
    return path


def first(fields: Fields, *names: str) -> Any:  # noqa: ANN401 - a cell of a manifest can be anything
    """Return the first of the fields that is there and not None."""
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def file_of(fields: Fields, *names: str) -> str:
    """Return the name of the sound's file; raises Rejected if there is none."""
    value = first(fields, *names)
    if not isinstance(value, str) or not value:
        raise Rejected(Reason.ROW_MALFORMED, f"no {names[0]}")
    return value


def text_of(fields: Fields, *names: str) -> str:
    """Return the text; raises Rejected if there is none."""
    value = first(fields, *names)
    if value is None or value == "":
        raise Rejected(Reason.TEXT_MISSING)
    if not isinstance(value, str):
        raise Rejected(Reason.ROW_MALFORMED, f"the text is {value!r}")
    return value


def speaker_of(value: object, default: str) -> str:
    """Check a speaker's name or number; None is the default speaker."""
    if value is None or value == "":
        return default
    if isinstance(value, bool) or not isinstance(value, str | int) or not 0 < len(str(value)) <= 64:
        raise Rejected(Reason.SPEAKER_INVALID, repr(value)[:80])
    if not str(value).isprintable():
        raise Rejected(Reason.SPEAKER_INVALID, repr(value)[:80])
    return str(value)


def seconds_of(value: object, name: str) -> float | None:
    """Check a time in seconds; numbers written as text are taken too."""
    if value is None or value == "":
        return None
    try:
        seconds = float(value)  # type: ignore[arg-type] - what is no number raises
    except (TypeError, ValueError, OverflowError):
        raise Rejected(Reason.SEGMENT_INVALID, f"{name} is {value!r}"[:80]) from None
    if not 0.0 <= seconds < 1e6:
        raise Rejected(Reason.SEGMENT_INVALID, f"{name} is {value!r}")
    return seconds


def _encodable(fields: object) -> bool:
    """Can it be written as UTF-8: JSON lets half of a surrogate pair stand alone, which nothing can write."""
    try:
        json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
