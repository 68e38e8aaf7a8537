from __future__ import annotations

import torch

from finetune.codec.losses import HearingLoss, SpectralLoss
from finetune.meter.meter import Meter, MeterConfig
from tests.unit.finetune.codec.small import vowels

SOUND = vowels(1.6).float()[None, :38_400] / 32768


def test_the_same_sound_has_no_distance() -> None:
    mel, magnitude = SpectralLoss(24_000)(SOUND, SOUND)
    assert float(mel) == float(magnitude) == 0.0


def test_a_sound_at_half_the_level_is_as_far_as_the_logarithm_of_two() -> None:
    loud = SOUND + 0.3 * torch.randn_like(SOUND)  # no band under the floor
    mel, _ = SpectralLoss(24_000)(loud / 2, loud)
    assert abs(float(mel) - 0.693) < 0.01


def test_silence_has_gradients_that_are_finite() -> None:
    made = torch.zeros(1, 38_400, requires_grad=True)
    mel, magnitude = SpectralLoss(24_000)(made, SOUND)
    (gradient,) = torch.autograd.grad(mel + magnitude, made)
    assert torch.isfinite(gradient).all()


def test_the_meter_guides_the_sound_but_is_not_changed_by_it() -> None:
    torch.manual_seed(0)
    meter = Meter(MeterConfig(width=16, blocks=3)).eval().requires_grad_(requires_grad=False)
    hearing = HearingLoss(8, 16)
    made, semantic = (SOUND * 0.7).requires_grad_(), torch.randn(1, 8, 20, requires_grad=True)
    heard, likeness = hearing(meter, made, SOUND, semantic)
    (heard + likeness).backward()
    assert float(heard.detach()) > 0.0
    assert made.grad is not None
    assert semantic.grad is not None
    assert all(parameter.grad is None for parameter in meter.parameters())
    same, _ = hearing(meter, SOUND, SOUND, semantic)
    assert float(same) == 0.0
