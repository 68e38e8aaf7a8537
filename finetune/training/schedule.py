"""The learning rate as a share of its peak: up in a line, down in a cosine."""

from __future__ import annotations

import math

from finetune.config import ScheduleSettings


def rate(step: int, settings: ScheduleSettings) -> float:
    """Share of the peak for a step, the first being 0."""
    warmup = round(settings.warmup_share * settings.steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(settings.steps - warmup, 1)
    return settings.final_share + (1.0 - settings.final_share) * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
