"""What passes through `prepare`: utterances as readers give them, clips as training takes them, rejections."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from finetune.data.reasons import Reason


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the text and where it is in the sound, in seconds from the utterance's start."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """A row of a corpus. `sound` is a file inside the corpus, or the file's bytes; text is as written there.

    `conversation` joins turns, `turn` orders them; only `target` turns are learnt.
    """

    id: str
    sound: Path | bytes
    text: str
    speaker: str
    start_s: float | None = None
    end_s: float | None = None
    words: tuple[Word, ...] = ()
    conversation: str | None = None
    turn: int = 0
    target: bool = True


@dataclass(frozen=True, slots=True)
class Clip:
    """A cleaned clip. `file` (FLAC, 24 kHz, mono) is relative to the prepared folder; `source` names the row."""

    id: str
    file: str
    text: str
    speaker: str
    seconds: float
    source: str
    sound_hash: str
    snr_db: float | None
    cut_s: float
    bandwidth_hz: float
    conversation: str | None = None
    turn: int = 0
    target: bool = True
    mos: float | None = None
    error_rate: float | None = None

    @property
    def letters_per_s(self) -> float:
        return letters(self.text) / self.seconds


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row or clip that is not used, why, and the file to listen to, if there is one."""

    id: str
    reason: Reason
    detail: str = ""
    sound: str | None = None


_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def letters(text: str) -> int:
    """Count what is said: letters, not marks and spaces."""
    return sum(character.isalpha() for character in text)


def file_name(identifier: str) -> str:
    """Make a name that is safe on every file system of an id."""
    return _UNSAFE.sub("_", identifier).strip("._")[:100] or "clip"
