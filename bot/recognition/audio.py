"""Uploaded audio to 16 kHz mono samples."""

from __future__ import annotations

import io
import wave

import numpy as np
from faster_whisper.audio import decode_audio
from numpy.typing import NDArray

from bot.recognition.wav import RATE_HZ

LONGEST_S = 30.0


class AudioError(ValueError):
    """The upload is not speech that can be read; the message says what is wrong (client's fault)."""


def samples_of(upload: bytes) -> NDArray[np.float32]:
    """Decode a file of at most 30 s: WAV of PCM16 at 16 kHz directly, all else that PyAV reads by PyAV."""
    samples = _from_wav(upload)
    if samples is None:
        samples = _by_pyav(upload)
    if len(samples) == 0:
        raise AudioError("the audio is empty")
    if len(samples) > LONGEST_S * RATE_HZ:
        raise AudioError(
            f"the audio lasts {len(samples) / RATE_HZ:.1f} s; utterances of up to {LONGEST_S:.0f} s are read, "
            "split longer speech at its pauses"
        )
    return samples


def _from_wav(upload: bytes) -> NDArray[np.float32] | None:
    try:
        with wave.open(io.BytesIO(upload), "rb") as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE_HZ):
                return None
            pcm = file.readframes(file.getnframes())
    except (wave.Error, EOFError):
        return None
    return np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)


def _by_pyav(upload: bytes) -> NDArray[np.float32]:
    try:
        decoded = decode_audio(io.BytesIO(upload), sampling_rate=RATE_HZ)
    except Exception as error:  # PyAV raises a family of its own beside ValueError, OSError and IndexError
        raise AudioError(f"the file is not audio that can be read: {error}") from error
    return np.asarray(decoded, dtype=np.float32)
