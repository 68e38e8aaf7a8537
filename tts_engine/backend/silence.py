"""When an engine that answers nobody any more is taken for hung: its process lives, so nothing else would tell.

A step of any stream is a sign of life. Who asked and left at once gives no proof, so somebody who asks for a frame that
nobody hears is put in (`probe`) before an engine is given up.
"""

from __future__ import annotations

import threading
from enum import Enum

PROBE_S = 5.0


class Verdict(Enum):
    """What is to be done about an engine."""

    FINE = "fine"
    PROBE = "probe"  # ask it something: once
    HUNG = "hung"


class Silence:
    """Told of all that is asked and said, by any thread; `now` is monotonic time."""

    def __init__(self, *, hung_after_s: float) -> None:
        self._hung_after_s = hung_after_s
        self._since: float | None = None  # of what was asked, or said, last; None: nothing is owed
        self._probed = False
        self._lock = threading.Lock()

    def asked(self, *, now: float) -> None:
        """Note that the engine owes a step."""
        with self._lock:
            if self._since is None:
                self._since = now

    def heard(self, *, owes: bool, now: float) -> None:
        """Note a step; `owes`: others wait for the next one."""
        with self._lock:
            self._since, self._probed = now if owes else None, False

    def forget(self) -> None:
        """Begin with a new engine."""
        self.heard(owes=False, now=0.0)

    def look(self, *, now: float) -> Verdict:
        """Judge by the time that has passed."""
        with self._lock:
            silent_s = 0.0 if self._since is None else now - self._since
            if silent_s >= self._hung_after_s:
                return Verdict.HUNG
            if silent_s < min(PROBE_S, self._hung_after_s / 2) or self._probed:
                return Verdict.FINE
            self._probed = True
            return Verdict.PROBE
