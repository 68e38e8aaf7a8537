"""The character error rate by a recogniser of your choice, which is also given real recordings as a floor."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import soxr

from bot.language.speakable import speakable
from finetune.data.audio import RATE_HZ, Samples
from finetune.data.text import words
from finetune.errors import RecogniserError

Recognise = Callable[[Samples], str]
"""24 kHz mono in -1..1 to text."""


@cache
def open_recogniser(name: str) -> Recognise:
    """Open `whisper:FOLDER` (faster-whisper) or `module:function`; raises RecogniserError with the remedy."""
    kind, _, rest = name.partition(":")
    if not rest:
        raise RecogniserError(f"{name!r} is neither whisper:FOLDER nor module:function")
    if kind == "whisper":
        return _whisper(Path(rest))
    try:
        found = getattr(importlib.import_module(kind), rest)
    except (ImportError, AttributeError) as error:
        raise RecogniserError(f"{name!r} cannot be imported: {error}") from error
    if not callable(found):
        raise RecogniserError(f"{name!r} is no function from 24 kHz samples to text")
    return cast("Recognise", found)


def error_rate(said: str, meant: str) -> float:
    """Character error rate of the words alone: folded, without marks, numbers in words on both sides."""
    left, right = (" ".join(words(speakable(text))) for text in (said, meant))
    return distance(left, right) / max(len(right), 1)


def distance(left: str, right: str) -> int:
    """Levenshtein's distance."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def _whisper(folder: Path) -> Recognise:
    if not folder.is_dir():
        raise RecogniserError(f"{folder} is no folder; give one with a CTranslate2 Whisper model")
    try:
        from faster_whisper import WhisperModel  # noqa: PLC0415 - heavy, and only this recogniser needs it
    except ImportError:
        raise RecogniserError("needs the package: pip install faster-whisper") from None
    model = WhisperModel(str(folder))

    def recognise(samples: Samples) -> str:
        wide = np.asarray(soxr.resample(samples, RATE_HZ, 16_000), np.float32)
        segments, _ = model.transcribe(wide, language="az", condition_on_previous_text=False)
        return " ".join(segment.text for segment in segments)

    return recognise
