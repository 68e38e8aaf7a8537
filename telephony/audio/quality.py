"""The E-model (ITU-T G.107): from loss and delay to how good a call sounds, as R factor and MOS."""

from __future__ import annotations

from typing import Final

_BEST: Final = 93.2  # R of a narrow-band call with nothing wrong but the codec's own noise
# Packet-loss robustness of G.711 with concealment (G.113 appendix I), 20 ms packets. For G.722 and Opus there are no
# figures on this narrow-band scale; both conceal at least as well here (docs/benchmarks.md), so theirs is the same.
_ROBUSTNESS: Final = 25.1


def r_factor(*, loss_percent: float, burst_ratio: float = 1.0, delay_ms: float = 0.0) -> float:
    """Give R, 0 to 93.2; `delay_ms` is one way, mouth to ear, 0 for listening quality alone."""
    impairment = 95 * loss_percent / (loss_percent / burst_ratio + _ROBUSTNESS)
    # The usual approximation of Idd for echo-free calls (Cole and Rosenbluth, 2001).
    delay = 0.024 * delay_ms + 0.11 * max(0.0, delay_ms - 177.3)
    return min(max(_BEST - impairment - delay, 0.0), _BEST)


def mos(r: float) -> float:
    """Turn R into a mean opinion score of 1 to 4.5 (annex B)."""
    if r <= 0:
        return 1.0
    return min(4.5, max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6))
