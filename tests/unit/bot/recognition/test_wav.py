from __future__ import annotations

import io
import wave

from bot.recognition.wav import wav_of


def test_the_file_is_pcm16_mono_at_16_khz():
    pcm = bytes(range(200))
    with wave.open(io.BytesIO(wav_of(pcm))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        assert file.readframes(1000) == pcm
