"""A run of `zeng finetune train` that must end in time: tried for a few steps, then planned by how long they took.

A run has steps, not seconds, since its learning rate follows them; a machine that is lent by the minute needs both.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from finetune.config import RunSettings
from finetune.training.loop import Result, train

_SETTLED = 2  # of the trial's steps the first half warms up


def train_until(
    settings: RunSettings, left_s: Callable[[], float], tell: Callable[[str], None], *, trial_steps: int, end_s: float
) -> Result:
    """Train for as many steps, at most those of the settings, as fit into `left_s` less `end_s` for the last check."""
    trial = settings.model_copy(
        update={
            "output": settings.output.with_name(f"{settings.output.name}-trial"),
            "schedule": settings.schedule.model_copy(update={"steps": trial_steps}),
            "checks": settings.checks.model_copy(update={"sentences": 0, "every_steps": trial_steps}),
        }
    )
    train(trial, lambda _: None)
    took = seconds_a_step(trial.output)
    shutil.rmtree(trial.output)
    steps = max(min(int((left_s() - end_s) / took), settings.schedule.steps), 1)
    tell(f"a step takes {took:.4f} s: {steps} steps")
    every = min(settings.checks.every_steps, steps)
    return train(
        settings.model_copy(
            update={
                "schedule": settings.schedule.model_copy(update={"steps": steps}),
                "checks": settings.checks.model_copy(update={"every_steps": every}),
            }
        ),
        tell,
    )


def seconds_a_step(output: Path) -> float:
    """Mean time of a run's steps, those left out that warm up."""
    lines = (json.loads(line) for line in (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    took = [float(line["seconds"]) for line in lines if "seconds" in line]
    return fmean(took[len(took) // _SETTLED :])
