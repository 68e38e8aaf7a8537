"""The prepared folder: what `prepare` leaves and `train` reads.

- prepared.json: settings, codec's fingerprint, speakers' numbers, sums
- manifest.jsonl: a clip a line, with its split, shard and number of frames
- rejected.jsonl: a rejection a line
- report.html: to look at and listen to
- clips/*.flac: 24 kHz, mono, trimmed and levelled
- codes/*.safetensors: Mimi codes
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finetune.data.clip import Clip, Rejection
from finetune.data.select import Split
from finetune.errors import CorpusError
from finetune.whole_file import whole_file, write_whole


@dataclass(frozen=True, slots=True)
class Entry:
    """A clip as training sees it; `voice` is the number in the prompt."""

    clip: Clip
    split: Split
    voice: int
    shard: str
    frames: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is said of the folder as a whole."""

    codec_fingerprint: str
    num_codebooks: int
    voices: dict[str, int]
    normaliser: str
    text_case: str


def write_manifest(folder: Path, entries: Iterable[Entry]) -> None:
    """Write it whole or not at all."""
    _write(folder / "manifest.jsonl", ({**asdict(e.clip), **_place(e)} for e in entries))


def write_rejections(folder: Path, rejections: Iterable[Rejection]) -> None:
    _write(folder / "rejected.jsonl", (asdict(rejection) for rejection in rejections))


def write_prepared(folder: Path, prepared: Prepared, settings: dict[str, Any], sums: dict[str, Any]) -> None:
    """Write `prepared.json`; it is there only if the whole folder is."""
    text = json.dumps({**asdict(prepared), "sums": sums, "settings": settings}, ensure_ascii=False, indent=1)
    write_whole(folder / "prepared.json", text)


def read_prepared(folder: Path) -> Prepared:
    """Read what is said of the folder; raises CorpusError if it is none."""
    path = folder / "prepared.json"
    if not path.exists():
        raise CorpusError(f"{path} is missing; `zeng finetune prepare` makes it")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Prepared(**{name: raw[name] for name in Prepared.__slots__})
    except (ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{path} is torn, or of another version: prepare the corpus anew ({error})") from error


def read_manifest(folder: Path) -> Iterator[Entry]:
    """Read the clips in the order they were written."""
    with (folder / "manifest.jsonl").open(encoding="utf-8") as file:
        for line in file:
            raw = json.loads(line)
            place = {name: raw.pop(name) for name in ("split", "voice", "shard", "frames")}
            yield Entry(Clip(**raw), **place)


def _place(entry: Entry) -> dict[str, Any]:
    return {"split": entry.split, "voice": entry.voice, "shard": entry.shard, "frames": entry.frames}


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
