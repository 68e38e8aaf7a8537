"""Who a step is for: those who begin, those who speak, or both.

A step in which some read their prompts while others say a frame is dearer than the two apart: it misses vLLM's graph
for steps in which all say a frame, and attention for one position a stream is computed as for hundreds of them. With
many streams somebody begins in every step. So there they take turns.

With more still, those who speak have two steps in a row. vLLM has two steps under way: while the GPU is in one, the
host takes in what the step before it brought and launches the one after it, which takes as long as that has rows.
Beginnings are few rows and a short step, so a large step after them came late, and the GPU waited.
"""

from __future__ import annotations

from enum import Enum, auto

FEW = 640  # up to so many speak beside a beginning: it costs them less than a step of its own would
MANY = 1024  # beyond so many, the host takes longer for a step of speech than the GPU for one of beginnings


class For(Enum):
    """Who a step is for."""

    ALL = auto()
    BEGINNINGS = auto()
    SPEECH = auto()


class Turns:
    """Those of one engine."""

    def __init__(self, *, few: int = FEW, many: int = MANY) -> None:
        self._few, self._many = few, many
        self._since = 2  # steps since one that somebody could begin in

    def next(self, *, waiting: int, speaking: int) -> For:
        """Who has the next step, when so many wait to begin and so many speak."""
        if speaking <= self._few:
            self._since = 0 if waiting else self._since + 1
            return For.ALL
        if waiting and self._since >= (1 if speaking <= self._many else 2):
            self._since = 0
            return For.BEGINNINGS
        self._since += 1
        return For.SPEECH
