"""How long a training may take: steps, so that it can be repeated, or seconds, of a machine lent by the minute."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """At least one of the two; the one that is used up first ends the training."""

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not (self.steps or self.seconds):
            raise ValueError("a budget needs steps or seconds")

    def share(self, steps: int, seconds: float) -> float:
        """How much of it is used up, 1.0 and above when it is over; learning rates follow it."""
        by_steps = steps / self.steps if self.steps else 0.0
        by_seconds = seconds / self.seconds if self.seconds else 0.0
        return max(by_steps, by_seconds)
