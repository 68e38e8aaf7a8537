from __future__ import annotations

import io
import sys
import wave
from itertools import pairwise
from typing import get_args

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_engine.audio_formats import MEDIA_TYPES, AudioFormat, encoder_of, wav_header
from tts_engine.errors import SpeechRequestError

FORMATS: tuple[AudioFormat, ...] = get_args(AudioFormat)


@pytest.mark.parametrize("rate", [8_000, 24_000])
@pytest.mark.parametrize("audio_format", ["mp3", "opus", "aac", "flac", "wav"])
def test_a_file_of_no_sound_can_be_opened(audio_format: AudioFormat, rate: int) -> None:
    encoder = encoder_of(audio_format, rate)

    with av.open(io.BytesIO(encoder.feed(b"") + encoder.flush())) as file:
        frames = [frame.to_ndarray() for frame in file.decode(audio=0)]

    assert sum(frame.size for frame in frames) < 48_000 / 5
    assert all(np.abs(frame).max() < 1e-3 for frame in frames)


def encoded(audio_format: AudioFormat, *pieces: bytes, rate_hz: int = 24_000) -> bytes:
    encoder = encoder_of(audio_format, rate_hz)
    return b"".join(encoder.feed(piece) for piece in pieces) + encoder.flush()


def noise(samples: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(-8000, 8000, samples, dtype=np.int16).astype("<i2").tobytes()


def test_every_format_has_a_media_type() -> None:
    assert set(MEDIA_TYPES) == set(FORMATS)


def test_pcm_is_left_as_it_is() -> None:
    assert encoded("pcm", b"ab", b"cd") == b"abcd"


def test_a_wav_file_of_known_length_is_a_wav_file() -> None:
    with wave.open(io.BytesIO(wav_header(8000, 6) + b"abcdef")) as file:
        assert (file.getnframes(), file.getframerate(), file.readframes(9)) == (3, 8000, b"abcdef")


def test_a_wav_stream_says_that_it_does_not_know_its_length() -> None:
    header = encoded("wav")

    assert header == wav_header(24_000, None)
    assert header[4:8] == header[40:44] == b"\xff\xff\xff\xff"


@pytest.mark.parametrize("audio_format", ["mp3", "opus", "aac", "flac"])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
def test_a_compressed_stream_decodes_to_as_long_a_sound(audio_format: AudioFormat, rate_hz: int) -> None:
    data = encoded(audio_format, noise(rate_hz // 2), rate_hz=rate_hz)

    with av.open(io.BytesIO(data)) as file:
        seconds = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
    assert 0.49 < seconds < 0.85  # encoders pad to whole frames, at 8 kHz of 128 ms


def test_opus_comes_out_while_the_rest_is_still_spoken() -> None:
    encoder = encoder_of("opus", 24_000)

    out = [len(encoder.feed(noise(1920))) for _ in range(10)]

    assert all(out)


@given(cuts=st.lists(st.integers(0, 6_000), max_size=8))
def test_flac_cut_anywhere_is_the_same_sound(cuts: list[int]) -> None:
    pcm = noise(6_000)
    bounds = sorted({0, len(pcm), *(cut * 2 for cut in cuts)})

    data = encoded("flac", *(pcm[a:b] for a, b in pairwise(bounds)))

    with av.open(io.BytesIO(data)) as file:
        decoded = b"".join(frame.to_ndarray().astype("<i2").tobytes() for frame in file.decode(audio=0))
    assert decoded == pcm


def test_without_pyav_the_compressed_formats_say_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)

    with pytest.raises(SpeechRequestError, match="pip install av") as caught:
        encoder_of("opus", 24_000)
    assert caught.value.field == "response_format"
    assert encoded("pcm", b"ab") == b"ab"
