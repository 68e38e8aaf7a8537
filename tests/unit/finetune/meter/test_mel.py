from __future__ import annotations

import numpy as np
import pytest
import torch

from finetune.meter.mel import MelSpectrum


@pytest.mark.parametrize("hz", [200.0, 1000.0, 6000.0])
def test_a_tone_is_in_the_band_of_its_pitch(hz: float) -> None:
    bands, time = 40, np.arange(24_000) / 24_000
    spectrum = MelSpectrum(24_000, 1024, 240, bands)
    _, mel = spectrum(torch.from_numpy(np.sin(2 * np.pi * hz * time).astype(np.float32))[None])
    top = 2595 * np.log10(1 + 12_000 / 700)
    expected = 2595 * np.log10(1 + hz / 700) / top * (bands + 1) - 1
    assert abs(float(mel[0, :, 50].argmax()) - expected) <= 1.0


def test_silence_has_a_gradient() -> None:
    samples = torch.zeros(1, 4800, requires_grad=True)
    magnitudes, mel = MelSpectrum(24_000, 256, 64, 10)(samples)
    (magnitudes.sum() + mel.sum()).backward()
    assert samples.grad is not None
    assert torch.isfinite(samples.grad).all()
