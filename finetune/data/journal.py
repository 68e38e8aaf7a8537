"""What `prepare` has done so far, so that a run that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finetune.data.clean import Outcome
from finetune.data.clip import Clip, Rejection, Utterance
from finetune.data.reasons import Reason
from finetune.data.settings import PrepareSettings

_DECIDING = ("trim", "filters", "loudness_lufs", "peak_dbfs", "text_case")


class Journal:
    """Outcomes by the key of their row, on disk line by line; a last line that is torn is forgotten."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._done: dict[str, tuple[Outcome, ...]] = {}
        if path.exists():
            for raw in path.read_bytes().split(b"\n")[:-1]:
                line = json.loads(raw)
                outcomes = tuple(_outcome(fields) for fields in line["outcomes"])
                if all(isinstance(o, Rejection) or (folder / o.file).exists() for o in outcomes):
                    self._done[line["key"]] = outcomes
            whole = path.read_bytes().rpartition(b"\n")
            path.write_bytes(whole[0] + whole[1])
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def get(self, key: str) -> tuple[Outcome, ...] | None:
        return self._done.get(key)

    def add(self, key: str, outcomes: tuple[Outcome, ...]) -> None:
        """Note what became of a row."""
        line = {"key": key, "outcomes": [asdict(outcome) for outcome in outcomes]}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def key_of(utterance: Utterance, settings: PrepareSettings) -> str:
    """Name a row by all that decides its outcome: the file's size and time, the row, the settings."""
    digest = hashlib.sha256()
    sound = utterance.sound
    if isinstance(sound, Path):
        stat = sound.stat() if sound.exists() else None
        digest.update(f"{sound} {stat and (stat.st_size, stat.st_mtime_ns)}".encode())
    else:
        digest.update(sound)
    row = (utterance.id, utterance.text, utterance.speaker, utterance.start_s, utterance.end_s, utterance.words)
    digest.update(repr((row, utterance.conversation, utterance.turn, utterance.target)).encode())
    deciding = settings.model_dump(mode="json", include=set(_DECIDING))
    digest.update(json.dumps(deciding, sort_keys=True).encode())
    return digest.hexdigest()


def _outcome(fields: dict[str, Any]) -> Outcome:
    if "reason" in fields:
        return Rejection(**{**fields, "reason": Reason(fields["reason"])})
    return Clip(**fields)
