"""One frame every 20 ms towards the caller, out of a queue that may hold a lead; told the time.

Two threads may share a pacer without a lock: the bot's side calls `put` and `flush` and reads, the clock's side calls
`start`, `due` and `take`. Every frame leaves the queue by one atomic `popleft`, so it is either played or dropped,
and what was played follows from what was put, what was dropped and what is left.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, NamedTuple, TypeVar

_Frame = TypeVar("_Frame")
_PAUSE_MS = 500  # silence longer than this between two frames is a pause of the bot, not a failure to keep up


class Due(NamedTuple):
    """What is to be done now."""

    frames: int  # to `take`
    at: float  # when the first of them was due
    skipped: int  # frames of time before it that are given up, after too long a stall


class Pacer(Generic[_Frame]):
    """Queue of frames of `frame_ms`, released at `start`, `start` + `frame_ms`, ... without drift.

    After a stall at most `catch_up` frames go at once; the time beyond is skipped, the frames are not.
    """

    def __init__(self, *, lead_ms: int, frame_ms: int = 20, catch_up: int = 5) -> None:
        self._frame_ms = frame_ms
        self._capacity = max(1, lead_ms // frame_ms)
        self._catch_up = catch_up
        self._queue: deque[_Frame] = deque()
        self._put = 0
        self._dropped = 0
        self._interrupted = False
        self._started_at = 0.0
        self._ticks = 0
        self._silent: int | None = None  # frames of silence since the last of speech; None: the bot is not speaking
        self.silences = 0  # frames of silence taken
        self.underruns = 0  # of them, in the middle of speech
        self.late_ms_max = 0.0

    # The bot's side

    @property
    def is_full(self) -> bool:
        """Whether the queue holds its lead."""
        return len(self._queue) >= self._capacity

    def is_full_with(self, more: int) -> bool:
        """Say whether the queue will hold its lead once so many more frames are put."""
        return len(self._queue) + more >= self._capacity

    @property
    def lead_ms(self) -> int:
        """What the queue holds when it is full."""
        return self._capacity * self._frame_ms

    @property
    def queued_ms(self) -> int:
        """What waits to be played."""
        return len(self._queue) * self._frame_ms

    @property
    def played_ms(self) -> int:
        """What was put and has been taken; silence is not counted."""
        return (self._put - self._dropped - len(self._queue)) * self._frame_ms

    def put(self, frame: _Frame) -> None:
        """Queue a frame; wait until the queue is not full before."""
        self._queue.append(frame)
        self._put += 1

    def flush(self) -> int:
        """Drop what waits; returns how many ms that was."""
        self._interrupted = True
        dropped = 0
        while self._pop() is not None:
            dropped += 1
        self._dropped += dropped
        return dropped * self._frame_ms

    # The clock's side

    def start(self, *, now: float) -> None:
        """Make the first frame due now."""
        self._started_at = now
        self._ticks = 0

    def timer_at(self) -> float:
        """When the next frame is due."""
        return self._started_at + self._ticks * self._frame_ms / 1000

    def due(self, *, now: float) -> Due:
        """Say how many frames to `take` now; time that has come is not asked for again."""
        at = self._started_at + self._ticks * self._frame_ms / 1000
        late_ms = 1000 * (now - at)
        if late_ms < 0:
            return Due(0, now, 0)
        self.late_ms_max = max(self.late_ms_max, late_ms)
        come = 1 + int(late_ms / self._frame_ms)
        self._ticks += come
        skipped = max(0, come - self._catch_up)
        return Due(come - skipped, at + skipped * self._frame_ms / 1000, skipped)

    def take(self) -> _Frame | None:
        """Take the next frame; None where silence has to be sent instead."""
        if self._interrupted:
            self._interrupted = False
            self._silent = None
        try:
            frame = self._queue.popleft()
        except IndexError:
            self.silences += 1
            if self._silent is not None:
                self._silent += 1
            return None
        if self._silent is not None and self._silent * self._frame_ms <= _PAUSE_MS:
            self.underruns += self._silent
        self._silent = 0
        return frame

    def _pop(self) -> _Frame | None:
        # Asking first whether one is there would leave time for the other side to take it.
        try:
            return self._queue.popleft()
        except IndexError:
            return None
