"""Who a step is for: those who begin, those who speak, or both.

A step in which some read their prompts while others say a frame is dearer than the two apart: it misses vLLM's graph
for steps in which all say a frame, and attention for one position a stream is computed as for hundreds of them. With
many streams somebody begins in every step. So there they take turns.
"""

from __future__ import annotations

from enum import Enum, auto

FEW = 1024  # up to so many speak beside a beginning: it costs them less than a step of its own would


class For(Enum):
    """Who a step is for."""

    ALL = auto()
    BEGINNINGS = auto()
    SPEECH = auto()


class Turns:
    """Those of one engine."""

    def __init__(self, *, few: int = FEW) -> None:
        self._few = few
        self._last = For.ALL

    def next(self, *, waiting: int, speaking: int) -> For:
        """Who has the next step, when so many wait to begin and so many speak: beginnings, but not twice in a row."""
        if speaking <= self._few:
            self._last = For.ALL
        elif waiting and self._last is not For.BEGINNINGS:
            self._last = For.BEGINNINGS
        else:
            self._last = For.SPEECH
        return self._last
