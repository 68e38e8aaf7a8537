"""Promises about a stage, and which of them it broke."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# What a promise may be about → whether it is an upper bound.
METRICS: Mapping[str, bool] = {
    "latency_p50_ms": True,
    "latency_p95_ms": True,
    "latency_p99_ms": True,
    "key_latency_p95_ms": True,
    "greeting_p95_ms": True,
    "answer_p95_ms": True,
    "barge_in_p95_ms": True,
    "missed_turn_share": True,
    "false_turn_share": True,
    "failed_call_share": True,
    "unexpected_turn_share": True,
    "gaps_per_minute": True,
    "mos_p5": False,
    "pesq_mean": False,
    "words_right_share": False,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One promise held against a stage. `found` is None where nothing was measured: then it is not kept."""

    metric: str
    bound: float
    found: float | None
    held: bool

    def __str__(self) -> str:
        sign = "≤" if METRICS[self.metric] else "≥"
        found = "not measured" if self.found is None else f"{self.found:.4g}"
        return f"{self.metric} {sign} {self.bound:g}: {found}"


def judge(promises: Mapping[str, float], found: Mapping[str, float | None]) -> tuple[Verdict, ...]:
    """Hold each promise against what was found."""
    verdicts: list[Verdict] = []
    for metric, bound in promises.items():
        value = found.get(metric)
        held = value is not None and (value <= bound if METRICS[metric] else value >= bound)
        verdicts.append(Verdict(metric, bound, value, held))
    return tuple(verdicts)
