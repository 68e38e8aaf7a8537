"""Key presses as pairs of tones (ITU-T Q.23, Q.24): heard in the audio, and made for a peer that takes no events."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.errors import LocalProtocolError
from telephony.leg import FRAME_MS, INPUT_RATE_HZ

LOW_HZ: Final = (697.0, 770.0, 852.0, 941.0)
HIGH_HZ: Final = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS: Final = ("123A", "456B", "789C", "*0#D")  # a row a low tone

# 12.5 ms tell 697 from 770 Hz (19 dB) and still take a tone that is 1.5 % off (-1.4 dB at 1633 Hz).
_WINDOW: Final = INPUT_RATE_HZ * 25 // 2000
_HOP: Final = INPUT_RATE_HZ * 10 // 1000
_HOP_MS: Final = 10
_MIN_HITS: Final = 2  # a press of 40 ms, the shortest that Q.24 has us take, fills two windows wherever it begins
_MISSES: Final = 2  # in a row end a press
_LEAST_POWER: Final = 100.0**2  # -50 dBFS: below it is line noise
_PURE: Final = 0.75  # share of the power that the two tones must have: what most tells a key from a voice
_ALONE: Final = 6.3  # 8 dB above the other tones of its group
_TWIST: Final = 6.3  # the high tone may be 8 dB stronger,
_REVERSE_TWIST: Final = 4.0  # the low one 6 dB

_SEND_LEVEL: Final = 32_768 * 10 ** (-12 / 20)  # each tone: -9 dBm0 or so, as a telephone sends it
_TONE_FRAMES: Final = 5  # 100 ms
_PAUSE_FRAMES: Final = 3
_RAMP_S: Final = 0.002  # a click would be a key of its own to some
_QUEUED: Final = 64


@dataclass(frozen=True, slots=True)
class KeyTone:
    """A press that has ended."""

    digit: str
    duration_ms: int


def _basis() -> NDArray[np.float64]:
    """Give cosine and sine of the eight tones; the square of a product with them is the tone's power."""
    at_s = np.arange(_WINDOW)[:, np.newaxis] / INPUT_RATE_HZ
    angle = 2 * np.pi * at_s * np.array(LOW_HZ + HIGH_HZ)
    return np.concatenate((np.cos(angle), np.sin(angle)), axis=1) * (np.sqrt(2) / _WINDOW)


_BASIS: Final = _basis()


class KeyToneDetector:
    """Listens to 16 kHz PCM16, cut anywhere; gives each press once, at its end."""

    def __init__(self) -> None:
        self._heard: NDArray[np.int16] = np.zeros(0, np.int16)
        self._digit = ""
        self._hits = self._misses = 0

    def feed(self, samples: NDArray[np.int16]) -> list[KeyTone]:
        """Take the next samples."""
        heard = np.concatenate((self._heard, samples))
        starts = range(0, len(heard) - _WINDOW + 1, _HOP)
        self._heard = heard[len(starts) * _HOP :]
        if not starts:
            return []
        windows = np.stack([heard[start : start + _WINDOW] for start in starts]).astype(np.float64)
        powers = np.einsum("ij,ij->i", windows, windows) / _WINDOW
        if not self._digit and powers.max() < _LEAST_POWER:
            return []
        both = windows @ _BASIS
        tones = both[:, :8] ** 2 + both[:, 8:] ** 2
        return [press for power, tone in zip(powers, tones, strict=True) for press in self._step(_key(power, tone))]

    def _step(self, digit: str) -> Iterable[KeyTone]:
        if digit and digit == self._digit:
            self._hits += 1 + self._misses
            self._misses = 0
            return ()
        if not digit and self._digit and self._misses + 1 < _MISSES:
            self._misses += 1
            return ()
        ended, hits = self._digit, self._hits
        self._digit, self._hits, self._misses = digit, 1, 0
        return (KeyTone(ended, hits * _HOP_MS),) if ended and hits >= _MIN_HITS else ()


def _key(power: float, tones: NDArray[np.float64]) -> str:
    """Say which key sounds in one window; "" for none."""
    low, high = tones[:4], tones[4:]
    row, column = int(np.argmax(low)), int(np.argmax(high))
    strong_low, strong_high = float(low[row]), float(high[column])
    if (
        power < _LEAST_POWER
        or strong_low + strong_high < _PURE * power
        or strong_high > _TWIST * strong_low
        or strong_low > _REVERSE_TWIST * strong_high
        or np.count_nonzero(low * _ALONE > strong_low) > 1
        or np.count_nonzero(high * _ALONE > strong_high) > 1
    ):
        return ""
    return KEYS[row][column]


class KeyToneSender:
    """Makes the tones of queued digits at `rate_hz`, a frame of 20 ms a step, in place of audio."""

    def __init__(self) -> None:
        self._digits: deque[str] = deque()
        self._step = 0
        self.pressed = 0  # digits done since the beginning

    @property
    def is_active(self) -> bool:
        """Whether a digit sounds or waits."""
        return bool(self._digits)

    def press(self, digits: str) -> int:
        """Queue digits; returns what `pressed` will be when they are done. Raises `LocalProtocolError` for others."""
        wrong = set(digits) - set("".join(KEYS))
        if wrong:
            raise LocalProtocolError(f"cannot send {sorted(wrong)} as tones: use {''.join(KEYS)}")
        if len(self._digits) + len(digits) > _QUEUED:
            raise LocalProtocolError(f"more than {_QUEUED} digits wait to be sent: await the ones before")
        self._digits.extend(digits)
        return self.pressed + len(self._digits)

    def frame(self, rate_hz: int) -> NDArray[np.int16] | None:
        """Give the next 20 ms while active; None for the pause after a digit."""
        step, self._step = self._step, self._step + 1
        if step < _TONE_FRAMES:
            return _tone(self._digits[0], step, rate_hz)
        if self._step >= _TONE_FRAMES + _PAUSE_FRAMES:
            self._digits.popleft()
            self._step = 0
            self.pressed += 1
        return None


def _tone(digit: str, step: int, rate_hz: int) -> NDArray[np.int16]:
    row = next(index for index, keys in enumerate(KEYS) if digit in keys)
    count = rate_hz * FRAME_MS // 1000
    at_s = (np.arange(count) + step * count) / rate_hz
    total_s = _TONE_FRAMES * FRAME_MS / 1000
    level = _SEND_LEVEL * np.clip(np.minimum(at_s, total_s - at_s) / _RAMP_S, 0, 1)
    tones = np.sin(2 * np.pi * LOW_HZ[row] * at_s) + np.sin(2 * np.pi * HIGH_HZ[KEYS[row].index(digit)] * at_s)
    return np.rint(level * tones).astype(np.int16)
