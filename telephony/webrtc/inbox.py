"""`Inbox`: what a leg has for the bot, bounded. The media thread puts, the bot takes; neither waits for the other."""

from __future__ import annotations

from collections import deque
from typing import Final, TypeVar

from telephony.leg import AudioReceived, DigitReceived, FramesDropped, LegEnded, LegEvent, MessageReceived

MAX_FRAMES: Final = 50  # 1 s
MAX_MESSAGES: Final = 64

_T = TypeVar("_T")


class Inbox:
    """Two queues and an end. Every `deque` operation is atomic, so that two threads need no lock."""

    def __init__(self) -> None:
        self._frames: deque[AudioReceived] = deque()
        self._messages: deque[DigitReceived | MessageReceived] = deque()
        self._ended: LegEnded | None = None
        self._dropped = 0  # counted by the media thread
        self._reported = 0  # of these, told to the bot

    @property
    def ended(self) -> LegEnded | None:
        """How the leg ended, None while it goes on."""
        return self._ended

    def put_frame(self, frame: AudioReceived) -> None:
        """Add a frame; the oldest goes where too many wait."""
        if self._ended is not None:
            return
        if len(self._frames) >= MAX_FRAMES and _pop(self._frames) is not None:
            self._dropped += 1
        self._frames.append(frame)

    def put_message(self, message: DigitReceived | MessageReceived) -> None:
        """Add a key press or a text; it is refused where too many wait."""
        if self._ended is None and len(self._messages) < MAX_MESSAGES:
            self._messages.append(message)

    def end(self, ended: LegEnded) -> bool:
        """Let the leg end thus, after what is queued; False if it had ended already."""
        if self._ended is not None:
            return False
        self._ended = ended
        return True

    def take(self) -> LegEvent | None:
        """Give the next event, None if there is none now. The end stays last, and comes again if asked for."""
        if dropped := self._dropped - self._reported:
            self._reported += dropped
            return FramesDropped(dropped)
        return _pop(self._messages) or _pop(self._frames) or self._ended


def _pop(queue: deque[_T]) -> _T | None:
    try:
        return queue.popleft()
    except IndexError:
        return None
