"""`ToneListener`: what else is in the caller's audio besides a voice: key presses and tones of machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from telephony.audio.dtmf import KeyTone, KeyToneDetector
from telephony.audio.tones import ToneDetector, feed_together
from telephony.leg import Tone

Found: TypeAlias = KeyTone | Tone


class ToneListener:
    """One call. `keys`: whether presses are looked for; they are not where they come as telephone events."""

    def __init__(self, *, tones: bool) -> None:
        self.keys = False
        self.key_detector = KeyToneDetector()
        self.tone_detector = ToneDetector() if tones else None

    def feed(self, samples: NDArray[np.int16]) -> list[Found]:
        """Take 20 ms at 16 kHz; give what has become certain."""
        return listen_together((self,), samples[np.newaxis, :]).get(0, [])


def listen_together(listeners: Sequence[ToneListener], samples: NDArray[np.int16]) -> dict[int, list[Found]]:
    """Feed 20 ms of each of some calls, (calls, 320), to as many listeners; give by index what those found that did."""
    found: dict[int, list[Found]] = {}
    for index, listener in enumerate(listeners):
        if listener.keys:
            keys = listener.key_detector.feed(samples[index])
            if keys:
                found[index] = [*keys]
    indices = [index for index, listener in enumerate(listeners) if listener.tone_detector is not None]
    detectors = [detector for listener in listeners if (detector := listener.tone_detector) is not None]
    if detectors:
        rows = samples if len(indices) == len(listeners) else samples[indices]
        for index, tones in zip(indices, feed_together(detectors, rows), strict=True):
            if tones:
                found.setdefault(index, []).extend(tones)
    return found
