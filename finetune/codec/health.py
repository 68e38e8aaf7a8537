"""How a codec fails in training, told from numbers early enough to stop.

Seen on the way here: latents that shrink to nothing or grow without end, and codebooks of which three codes are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_LATENT_STD = (0.02, 50.0)
_USED_MIN = 0.005
_MEL_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Health:
    """`latent_std` of the encoder's output; `used` codes by codebook, as if evenly; `mel` distance of late."""

    step: int
    quantised: bool
    latent_std: float
    used: Sequence[float]
    mel: float


def fault(health: Health, *, codebook_size: int) -> str | None:
    """Say what is broken beyond repair, if anything is."""
    low, high = _LATENT_STD
    if not np.isfinite(health.mel) or health.mel > _MEL_MAX:
        return f"the loss diverged (mel distance {health.mel:.2f}): lower the learning rate"
    if not low < health.latent_std < high:
        return f"latents have a standard deviation of {health.latent_std:.3g}: raise spread_weight"
    if health.quantised:
        worst = int(np.argmin(health.used))
        if health.used[worst] < max(_USED_MIN * codebook_size, 2.0):
            return f"codebook {worst} uses {health.used[worst]:.1f} of {codebook_size} codes: begin with more latents"
    return None
