"""Which streams may rest for a step: those far ahead of their playback, while another is about to run dry.

A stream's playback is taken to begin with its first frame and never to wait, so its lead is the sound made less the
time gone by. When nobody is short, nobody rests: an idle GPU may as well run ahead. Leads are looked at every other
frame only: between two looks none changes by more than a step makes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

PLENTY_S = 2.0
LITTLE_S = 0.5
Name = TypeVar("Name", bound=Hashable)


class Leads(Generic[Name]):
    """Leads of the streams of one engine, by whatever it names them."""

    def __init__(self, *, frame_s: float, plenty_s: float = PLENTY_S, little_s: float = LITTLE_S) -> None:
        self._frame_s, self._plenty_s, self._little_s = frame_s, plenty_s, little_s
        self._began_at: dict[Name, float] = {}
        self._ahead: frozenset[Name] = frozenset()
        self._short = False
        self._look_at = float("-inf")

    def resting(
        self, frames: Callable[[], Iterable[tuple[Name, int]]], *, waiting: bool, now: float
    ) -> frozenset[Name]:
        """Return who rests, of the streams that run, each with the frames that it has by now (0: its prompt is read).

        `waiting`: somebody has not even begun. Streams that are not named are forgotten.
        """
        if now >= self._look_at:
            self._look_at = now + 2 * self._frame_s
            self._look(frames(), now)
        return self._ahead if self._short or waiting else frozenset()

    def _look(self, frames: Iterable[tuple[Name, int]], now: float) -> None:
        began_at, ahead = dict[Name, float](), list[Name]()
        self._short = False
        for name, count in frames:
            if not count:
                self._short = True
                continue
            began = began_at[name] = self._began_at.get(name, now)
            lead_s = count * self._frame_s - (now - began)
            if lead_s >= self._plenty_s:
                ahead.append(name)
            elif lead_s < self._little_s:
                self._short = True
        self._began_at, self._ahead = began_at, frozenset(ahead)
