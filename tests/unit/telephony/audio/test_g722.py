from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.audio.g722 import FRAME_SAMPLES, RATE_HZ, G722Decoder, G722Encoder


def tone(hertz: float, frames: int) -> np.ndarray:
    at_s = np.arange(frames * FRAME_SAMPLES) / RATE_HZ
    return np.rint(8_000 * np.sin(2 * np.pi * hertz * at_s)).astype(np.int16)


def encode(samples: np.ndarray) -> bytes:
    encoder = G722Encoder()
    return b"".join(encoder.encode(frame) for frame in samples.reshape(-1, FRAME_SAMPLES))


def test_a_frame_is_160_bytes_and_comes_back_as_many_samples() -> None:
    payload = encode(tone(1_000, 1))

    assert len(payload) == 160
    assert len(G722Decoder().decode(payload)) == FRAME_SAMPLES


def test_wideband_sound_comes_through() -> None:
    for hertz in (300, 3_000, 6_500):
        sound = G722Decoder().decode(encode(tone(hertz, 20)))[1_000:]
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        assert abs(np.argmax(spectrum) * RATE_HZ / len(sound) - hertz) < 10
        assert 4_500 < np.sqrt(np.mean(sound.astype(float) ** 2)) < 6_500


@settings(max_examples=20)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_a_stream_sounds_the_same_however_it_is_cut(cuts: list[int]) -> None:
    payload = encode(tone(700, 12))
    whole = G722Decoder().decode(payload)
    decoder, parts, start = G722Decoder(), [], 0
    for cut in [*cuts, len(payload)]:
        if payload[start : start + cut]:
            parts.append(decoder.decode(payload[start : start + cut]))
        start += cut

    assert np.array_equal(np.concatenate(parts), whole)
