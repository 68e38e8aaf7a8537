from __future__ import annotations

import numpy as np
import pytest

from telephony.audio.frame import frames_of, is_quiet, pcm_of, samples_of
from telephony.errors import AudioFormatError


def test_pcm_is_little_endian_and_survives_the_round() -> None:
    samples = np.array([1, -2, 32_767, -32_768], np.int16)

    assert pcm_of(samples) == b"\x01\x00\xfe\xff\xff\x7f\x00\x80"
    assert np.array_equal(samples_of(pcm_of(samples)), samples)


@pytest.mark.parametrize(("peak", "quiet"), [(0, True), (399, True), (400, False), (-399, True), (-400, False)])
def test_a_frame_is_quiet_without_a_peak_of_speech(peak: int, quiet: bool) -> None:
    frame = np.zeros(160, np.int16)
    frame[77] = peak

    assert is_quiet(frame) is quiet


def test_nothing_is_quiet() -> None:
    assert is_quiet(np.zeros(0, np.int16))


def test_what_a_bot_plays_is_cut_into_frames() -> None:
    pcm = bytes(range(240)) * 8

    assert frames_of(pcm) == [pcm[:960], pcm[960:]]


@pytest.mark.parametrize("size", [0, 959, 1000])
def test_no_whole_number_of_frames_is_refused(size: int) -> None:
    with pytest.raises(AudioFormatError, match=f"{size} bytes are no frames; 20 ms at 24 kHz are 960"):
        frames_of(bytes(size))
