"""What `prepare` has done so far, so that a run that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finetune.data.clean import Outcome
from finetune.data.clip import Clip, Rejection, Utterance
from finetune.data.reasons import Reason
from finetune.data.settings import PrepareSettings
from finetune.data.speech import silero_path

_RULES = 2
"""To be raised with every change of what becomes of a row: outcomes by other rules are made anew."""
_DECIDING = ("trim", "filters", "loudness_lufs", "peak_dbfs", "text_case")


class Journal:
    """Outcomes by the key of their row, on disk line by line; one that is torn is forgotten, and its row done anew."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._done: dict[str, tuple[Outcome, ...]] = {}
        if path.exists():
            *whole, torn = path.read_bytes().split(b"\n")
            for raw in whole:
                try:
                    line = json.loads(raw)
                    outcomes = tuple(_outcome(fields) for fields in line["outcomes"])
                except (ValueError, TypeError, KeyError):  # of a power cut, or of another version
                    continue
                if all(isinstance(o, Rejection) or _is_there(folder / o.file) for o in outcomes):
                    self._done[line["key"]] = outcomes
            # cut off in place: written anew, all of it would be lost on a full disk
            os.truncate(path, path.stat().st_size - len(torn))
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
    silero = settings.trim.vad == "auto" and silero_path() is not None  # by what is installed
    deciding = {**settings.model_dump(mode="json", include=set(_DECIDING)), "rules": _RULES, "silero": silero}
    digest.update(json.dumps(deciding, sort_keys=True).encode())
    return digest.hexdigest()


def _is_there(clip: Path) -> bool:
    """Is the file there, and not one that a power cut left empty."""
    return clip.exists() and clip.stat().st_size > 0


def _outcome(fields: dict[str, Any]) -> Outcome:
    if "reason" in fields:
        return Rejection(**{**fields, "reason": Reason(fields["reason"])})
    return Clip(**fields)
