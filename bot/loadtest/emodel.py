"""Mean opinion score of a line by the E-model (ITU-T G.107, 06/2015), from delay and loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

_R0_LESS_IS = 93.2  # default of all parameters but delay and equipment (G.107, table 2)


@dataclass(frozen=True, slots=True)
class Codec:
    """Equipment impairment of a codec."""

    ie: float
    bpl: float  # robustness against loss


G711_PLC = Codec(0.0, 25.1)  # G.113, appendix I: G.711 with concealment, random loss
OPUS = Codec(0.0, 20.0)  # narrow-band equivalent; no value is standardised, so this is an assumption


def r_factor(*, delay_ms: float, loss: float, burst: float = 1.0, codec: Codec = G711_PLC) -> float:
    """Give R, 0 to 93.2: one-way mouth-to-ear `delay_ms`, `loss` 0..1 after the jitter buffer, `burst` ratio >= 1."""
    percent = 100 * loss
    equipment = codec.ie + (95 - codec.ie) * percent / (percent / max(1.0, burst) + codec.bpl)
    return max(0.0, _R0_LESS_IS - _delay_impairment(delay_ms) - equipment)


def mos(r: float) -> float:
    """Give MOS-CQE, 1 to 4.5 (G.107, annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def _delay_impairment(ms: float) -> float:
    """Idd for mT = 100 ms, sT = 1 (G.107, 7-28 and 7-29)."""
    if ms <= 100:
        return 0.0
    doubled = math.log2(ms / 100)
    return 25 * ((1 + doubled**6) ** (1 / 6) - 3 * (1 + (doubled / 3) ** 6) ** (1 / 6) + 2)
