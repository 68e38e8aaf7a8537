"""Events of one call on their way from the media thread to the bot's loop: bounded, without a lock.

One thread puts, one gets; each deque operation is atomic. Audio that is not fetched gives way to newer audio, and the
bot is told how much; other events are few and pass by the audio that waits.
"""

from __future__ import annotations

from collections import deque
from typing import TypeVar

from telephony.leg import DigitReceived, FramesDropped
from telephony.media import MediaTimedOut
from telephony.rtp.depacketizer import CodedFrame

_OTHERS = 128


class Mailbox:
    """Holds at most `audio_frames` frames of audio."""

    def __init__(self, *, audio_frames: int) -> None:
        self._audio: deque[CodedFrame] = deque()
        self._audio_frames = audio_frames
        self._others: deque[DigitReceived | MediaTimedOut] = deque(maxlen=_OTHERS)
        self._dropped = 0  # counted by the putting side
        self._told = 0  # of them, reported by the getting side

    def put_audio(self, frame: CodedFrame) -> None:
        """Put a frame, in place of the oldest if need be."""
        self._audio.append(frame)
        if len(self._audio) > self._audio_frames and _pop(self._audio) is not None:
            self._dropped += 1

    def put(self, event: DigitReceived | MediaTimedOut) -> None:
        """Put another event."""
        self._others.append(event)

    def get(self) -> CodedFrame | DigitReceived | FramesDropped | MediaTimedOut | None:
        """Get the next event; None when there is none."""
        if self._others:  # nobody else takes of them
            return self._others.popleft()
        dropped = self._dropped - self._told
        if dropped:
            self._told += dropped
            return FramesDropped(dropped)
        return _pop(self._audio)


_T = TypeVar("_T")


def _pop(queue: deque[_T]) -> _T | None:
    # Asking first whether one is there would leave time for the other side to take it.
    try:
        return queue.popleft()
    except IndexError:
        return None
