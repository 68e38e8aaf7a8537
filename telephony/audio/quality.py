"""The E-model (ITU-T G.107, 06/2015): from codec, loss and delay to how good a call sounds, as R factor and MOS.

The scale is the narrow-band one for every codec, because RTCP XR knows no other (RFC 3611 section 4.7.5: R up to 100)
and figures of calls are to be compared: a call without loss is 93.2 and 4.41 whatever it is coded with, and that G.722
and Opus sound wider does not show. What differs is how they bear loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log2
from typing import Final

_BEST: Final = 93.2  # R of a narrow-band call with nothing wrong but the codec's own noise
_G711: Final = 25.1  # Bpl with concealment, random loss (G.113 appendix I)
# No recommendation has these on this scale. They are derived as in P.834: PESQ of our own decoders at 1 to 10 % loss
# (docs/benchmarks.md), turned into R, and scaled so that G.711 measured the same way comes to its 25.1.
ROBUSTNESS: Final[Mapping[str, float]] = {"PCMU": _G711, "PCMA": _G711, "G722": 9.0, "opus": 27.0}
"""Packet-loss robustness (Bpl) by the codec's name in SDP; Opus with in-band FEC."""


def r_factor(*, codec: str, loss_percent: float, burst_ratio: float = 1.0, delay_ms: float = 0.0) -> float:
    """Give R, 0 to 93.2; `delay_ms` is one way, mouth to ear, 0 for listening quality alone.

    A codec that is not known is taken for G.711. A bot sends back no echo, so delay hurts by itself alone (Idd).
    """
    robustness = ROBUSTNESS.get(codec, _G711)
    impairment = 95 * loss_percent / (loss_percent / max(1.0, burst_ratio) + robustness)
    return max(_BEST - impairment - _delay_impairment(delay_ms), 0.0)


def mos(r: float) -> float:
    """Turn R into a mean opinion score of 1 to 4.5 (annex B)."""
    within = min(max(r, 0.0), 100.0)
    return max(1.0, 1 + 0.035 * within + within * (within - 60) * (100 - within) * 7e-6)


def _delay_impairment(delay_ms: float) -> float:
    """Idd for mT = 100 ms and sT = 1 (7-28 and 7-29)."""
    if delay_ms <= 100:
        return 0.0
    doubled = log2(delay_ms / 100)
    return 25 * ((1 + doubled**6) ** (1 / 6) - 3 * (1 + (doubled / 3) ** 6) ** (1 / 6) + 2)
