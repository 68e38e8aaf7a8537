"""The thread that paces all RTP calls of a process: its own loop, and in it one clock for all (`frame_clock.py`).

A bot loop that is busy for as long as the lead lasts is not heard by the callers.
"""

from __future__ import annotations

from collections.abc import Callable

from telephony.rtp.frame_clock import FrameClock, Ticking
from telephony.rtp.loop_thread import LoopThread


class MediaThread:
    """Start it, `post` or `call` functions into it, and from in there `add` and `remove` what is to tick."""

    def __init__(self, *, after_tick: Callable[[], None]) -> None:
        thread = LoopThread("rtp-media")
        self.start, self.stop = thread.start, thread.stop  # what still ticks then stops
        self.post, self.call = thread.post, thread.call
        self._clock = FrameClock(thread.loop, after_tick=after_tick)

    def add(self, stream: Ticking) -> None:
        """Let a stream tick every 20 ms."""
        self._clock.add(stream)

    def remove(self, stream: Ticking) -> None:
        """Let a stream tick no more; nothing happens if it did not."""
        self._clock.remove(stream)
