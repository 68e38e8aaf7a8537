"""`ToneListener`: what else is in the caller's audio besides a voice: key presses and tones of machines."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from telephony.audio.dtmf import KeyTone, KeyToneDetector
from telephony.audio.tones import ToneDetector
from telephony.leg import Tone

Found: TypeAlias = KeyTone | Tone


class ToneListener:
    """One call. `keys`: whether presses are looked for; they are not where they come as telephone events."""

    def __init__(self, *, tones: bool) -> None:
        self.keys = False
        self._key_detector = KeyToneDetector()
        self._tone_detector = ToneDetector() if tones else None

    def feed(self, samples: NDArray[np.int16]) -> list[Found]:
        """Take 20 ms at 16 kHz; give what has become certain."""
        found: list[Found] = []
        if self.keys:
            found += self._key_detector.feed(samples)
        if self._tone_detector is not None:
            found += self._tone_detector.feed(samples)
        return found
