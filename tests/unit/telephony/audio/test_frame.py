from __future__ import annotations

import numpy as np
import pytest

from telephony.audio.frame import is_quiet, pcm_of, samples_of


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
