"""WAV files of the one format that the bot works in: PCM16, mono, 16 kHz. Light: the bot's workers import it."""

from __future__ import annotations

import io
import wave

RATE_HZ = 16_000


def wav_of(pcm: bytes) -> bytes:
    """PCM16 mono at 16 kHz as a WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm)
    return out.getvalue()
