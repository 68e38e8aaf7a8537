"""`Recorder`: one call's sound on its media clock, and when the caller's own sounds left on the same clock.

A leg's clock sends one frame and takes one every 20 ms. A frame heard at tick k lies at k·20 ms; the frame that left at
that tick was spoken in the 20 ms before. What had left by a tick is read from `played_ms` as its frame is taken.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import numpy as np

from bot.loadtest.analysis import Deed, Gap
from bot.loadtest.behaviour import Mark
from bot.loadtest.clips import Clip
from bot.loadtest.sound import Samples
from telephony.leg import FRAME_MS, INPUT_FRAME_BYTES

_FRAME_S = FRAME_MS / 1000
_TONE_S = 0.1  # an RFC 4733 event of ours; the next digit begins 0.2 s after it began
_DIGIT_S = 0.2
_GAP_FRAMES = 3
_EDGE_MS = 1e-6  # a sound begins after its first instant and ends before its last


@dataclass(frozen=True, slots=True)
class _Said:
    mark: Mark
    from_ms: int  # `played_ms` before its first frame
    clip: Clip


class Recorder:
    """Takes frames as they come; gives the recording, the caller's deeds and what had to be concealed."""

    def __init__(self) -> None:
        self._heard = bytearray()
        self._played: list[int] = []  # by tick
        self._concealed: list[int] = []
        self._said: list[_Said | Deed] = []

    @property
    def length_s(self) -> float:
        """Media time so far."""
        return len(self._played) * _FRAME_S

    def frame(self, pcm: bytes, media_time_ms: int, *, played_ms: int, concealed_ms: int) -> None:
        """Take one frame from the bot; frames that were dropped before it are silence."""
        missing = media_time_ms // FRAME_MS - len(self._played)
        for _ in range(max(0, missing)):
            self._heard += bytes(INPUT_FRAME_BYTES)
            self._played.append(played_ms)
            self._concealed.append(concealed_ms)
        self._heard += pcm
        self._played.append(played_ms)
        self._concealed.append(concealed_ms)

    def says(self, mark: Mark, clip: Clip, *, played_ms: int) -> None:
        """A clip is about to be played."""
        self._said.append(_Said(mark, played_ms, clip))

    def presses(self, mark: Mark, digits: str, *, instant: bool) -> None:
        """Keys are pressed: by RFC 4733, or at once over a data channel."""
        end_s = mark.at if instant else mark.at + (len(digits) - 1) * _DIGIT_S + _TONE_S
        self._said.append(Deed(mark.step, mark.index, mark.kind, mark.at, end_s))

    @property
    def heard(self) -> Samples:
        """What came from the bot, 16 kHz."""
        return np.frombuffer(bytes(self._heard), np.int16)

    def deeds(self) -> tuple[Deed, ...]:
        """What the caller did, as far as it left."""
        found: list[Deed] = []
        for said in self._said:
            if isinstance(said, Deed):
                found.append(said)
                continue
            begin_s = self._left_at(said.from_ms + said.clip.begin_ms + _EDGE_MS)
            end_s = self._left_at(said.from_ms + said.clip.end_ms - _EDGE_MS)
            if begin_s is not None and end_s is not None:
                found.append(Deed(said.mark.step, said.mark.index, said.mark.kind, begin_s, end_s))
        return tuple(found)

    def _left_at(self, sound_ms: float) -> float | None:
        """When this much of the caller's sound was spoken."""
        tick = bisect.bisect_right(self._played, sound_ms)
        if tick == len(self._played):
            return None
        whole_ms = self._played[tick]
        return max(0.0, tick * _FRAME_S - (whole_ms - sound_ms) / 1000)

    def concealed_gaps(self) -> tuple[Gap, ...]:
        """Stretches of 60 ms and more for which no packet had come."""
        grown = np.diff(np.asarray(self._concealed or [0]), prepend=0) > 0
        edges = np.flatnonzero(np.diff(np.concatenate(([False], grown, [False])).astype(np.int8))).tolist()
        return tuple(
            Gap(begin * _FRAME_S, float((end - begin) * FRAME_MS))
            for begin, end in zip(edges[::2], edges[1::2], strict=True)
            if end - begin >= _GAP_FRAMES
        )
