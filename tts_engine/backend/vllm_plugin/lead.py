"""Which streams may rest for a step: those far ahead of their playback, while another is about to run dry.

A stream's playback is taken to begin with its first frame and never to wait, so its lead is the sound made less the
time gone by. When nobody is short, nobody rests: an idle GPU may as well run ahead.
"""

from __future__ import annotations

from collections.abc import Iterable

PLENTY_S = 2.0
LITTLE_S = 0.5


class Leads:
    """Leads of the streams of one engine, by request id."""

    def __init__(self, *, frame_s: float, plenty_s: float = PLENTY_S, little_s: float = LITTLE_S) -> None:
        self._frame_s, self._plenty_s, self._little_s = frame_s, plenty_s, little_s
        self._began_at: dict[str, float] = {}

    def resting(self, frames: Iterable[tuple[str, int]], *, waiting: bool, now: float) -> set[str]:
        """Return who rests, of the streams that run, each with the frames that it has by now (0: its prompt is read).

        `waiting`: somebody has not even begun. Streams that are not named are forgotten.
        """
        began_at, short, ahead = dict[str, float](), waiting, set[str]()
        for name, count in frames:
            if not count:
                short = True
                continue
            began = began_at[name] = self._began_at.get(name, now)
            lead_s = count * self._frame_s - (now - began)
            if lead_s >= self._plenty_s:
                ahead.add(name)
            elif lead_s < self._little_s:
                short = True
        self._began_at = began_at
        return ahead if short else set()
