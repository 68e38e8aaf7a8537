from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from bot.recognition.audio import AudioError, samples_of
from bot.recognition.wav import wav_of


def _wav(pcm: bytes, *, rate: int = 8_000, channels: int = 2) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return out.getvalue()


def test_our_own_wav_keeps_its_samples():
    samples = samples_of(wav_of(np.array([0, 16384, -32768], "<i2").tobytes()))
    assert samples.dtype == np.float32
    assert samples.tolist() == [0.0, 0.5, -1.0]


def test_other_rates_and_channels_are_converted():
    assert len(samples_of(_wav(b"\0\0\0\0" * 8_000))) == pytest.approx(16_000, abs=64)


@pytest.mark.parametrize("upload", [b"", b"not audio at all", b"RIFF\x04\0\0\0WAVE", b"\xff" * 5000])
def test_what_is_no_audio_is_refused(upload: bytes):
    with pytest.raises(AudioError, match=r"not audio|empty"):
        samples_of(upload)


def test_an_empty_file_is_refused():
    with pytest.raises(AudioError, match="empty"):
        samples_of(wav_of(b""))


def test_speech_of_more_than_30_s_is_refused_with_the_remedy():
    with pytest.raises(AudioError, match=r"30\.5 s.*split"):
        samples_of(wav_of(bytes(2 * 16_000 * 30 + 16_000)))
