from __future__ import annotations

import numpy as np
import pytest

from telephony.audio.comfort_noise import QUIET_LINE, ComfortNoise


def level_dbov(noise: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(noise.astype(float) ** 2)) / (32_768 / np.sqrt(2))))


@pytest.mark.parametrize("payload", [b"\x28", b"\xa8", b"\x28\x7f\x7f", b"\x28\xb0\x60\x90"])
def test_noise_has_the_level_that_was_told_whatever_its_spectrum(payload: bytes) -> None:
    noise = ComfortNoise()
    noise.describe(payload)

    assert level_dbov(noise.make(16_000)) == pytest.approx(-40, abs=1.0)


def test_reflection_coefficients_shape_the_spectrum() -> None:
    noise = ComfortNoise()
    noise.describe(bytes([30, 127 - 110]))  # k near -1: the poles lie at low frequencies
    spectrum = np.abs(np.fft.rfft(noise.make(16_000))) ** 2

    assert spectrum[:2_000].sum() > 5 * spectrum[4_000:].sum()


def test_before_a_description_there_is_silence_and_an_empty_one_is_a_quiet_line() -> None:
    noise = ComfortNoise()
    assert not noise.make(160).any()

    noise.describe(b"")

    assert level_dbov(noise.make(16_000)) == pytest.approx(-QUIET_LINE[0], abs=1.0)


def test_noise_goes_on_without_a_seam_however_it_is_asked_for() -> None:
    whole, parts = ComfortNoise(), ComfortNoise()
    whole.describe(b"\x20\x90\x70")
    parts.describe(b"\x20\x90\x70")

    assert np.array_equal(whole.make(480), np.concatenate([parts.make(n) for n in (1, 79, 160, 240)]))
