from __future__ import annotations

import pytest

from finetune.codec.health import Health, fault

GOOD = {"step": 100, "quantised": True, "latent_std": 1.5, "used": [400.0, 700.0], "mel": 0.8}


@pytest.mark.parametrize(
    ("symptom", "said"),
    [
        ({"mel": float("nan")}, "diverged"),
        ({"mel": 25.0}, "diverged"),
        ({"latent_std": 0.001}, "latents"),
        ({"latent_std": 65.0}, "latents"),
        ({"used": [400.0, 3.0]}, "codebook 1 uses 3.0"),
    ],
)
def test_every_known_collapse_is_told(symptom: dict[str, object], said: str) -> None:
    assert said in str(fault(Health(**{**GOOD, **symptom}), codebook_size=1024))


def test_a_codec_that_learns_has_no_fault() -> None:
    assert fault(Health(**GOOD), codebook_size=1024) is None


def test_codebooks_are_not_judged_before_they_are_used() -> None:
    early = Health(**{**GOOD, "quantised": False, "used": [1.0, 1.0]})
    assert fault(early, codebook_size=1024) is None
