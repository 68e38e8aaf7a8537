"""A voice: which speaker number it is, and the sample that every prompt of it begins with."""

from __future__ import annotations

import tomllib
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tts_engine.model.errors import CheckpointError
from tts_engine.model.prompt import Codes, ContextTurn

Samples = npt.NDArray[np.float32]
"""Sound at 24 kHz in -1..1."""

Encode: TypeAlias = Callable[[Samples], Codes]
"""Turns sound into codes; may take long. Thread-safe."""


@dataclass(frozen=True, slots=True)
class Voice:
    """`sample` is empty for a voice that the weights were trained to."""

    name: str
    speaker: int = 0
    sample: tuple[ContextTurn, ...] = ()


def read_voice(folder: Path, encode: Encode) -> Voice:
    """Read a voice from `voice.toml` (speaker, text) and, if it gives a text, `sample.wav` (24 kHz, mono, 16 bit).

    The sample should be 5 to 15 s of one person reading exactly that text.
    """
    path = folder / "voice.toml"
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: a voice needs it") from None
    except tomllib.TOMLDecodeError as error:
        raise CheckpointError(f"{path}: {error}") from error
    unknown = settings.keys() - {"speaker", "text"}
    if unknown:
        raise CheckpointError(f"{path}: unknown {', '.join(sorted(unknown))}; it may have speaker and text")
    speaker, text = int(settings.get("speaker", 0)), str(settings.get("text", ""))
    sample = (ContextTurn(speaker, text, encode(_read_wav(folder / "sample.wav"))),) if text else ()
    return Voice(folder.name, speaker, sample)


def _read_wav(path: Path) -> Samples:
    try:
        with wave.open(str(path), "rb") as file:
            shape = file.getframerate(), file.getnchannels(), file.getsampwidth()
            data = file.readframes(file.getnframes())
    except (FileNotFoundError, wave.Error, EOFError) as error:
        raise CheckpointError(f"{path} cannot be read as a WAV file: {error}") from error
    if shape != (24_000, 1, 2):
        raise CheckpointError(
            f"{path} is {shape[0]} Hz, {shape[1]} channels, {8 * shape[2]} bit; 24000, 1, 16 is needed"
        )
    return np.frombuffer(data, np.int16).astype(np.float32) / np.float32(32768)
