"""Tones of the network and of machines (ITU-T E.180, Q.35, T.30) in 16 kHz audio: which, by pitch and cadence.

Each 40 ms is named by the one or two pitches that hold nearly all of its power, or as quiet, or as anything else.
Runs of one name are the bursts of a cadence. A vowel is never so pure for so long; `tests/data/speech` is the proof.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from telephony.leg import FRAME_MS, INPUT_RATE_HZ, Tone

_STEP_MS: Final = 2 * FRAME_MS  # half the work of one with overlap, and fine enough for every cadence below
_WINDOW: Final = INPUT_RATE_HZ * _STEP_MS // 1000  # bins of 25 Hz
_BIN_HZ: Final = INPUT_RATE_HZ / _WINDOW
_LOBE: Final = 2  # bins to each side that a pitch fills under a Hann window
_PURE: Final = 0.93  # share of the power that the pitches must hold
_SECOND: Final = 0.1  # of the first pitch's power: below it a second one is no part of the tone
_LEAST_PEAK: Final = 100  # -50 dBFS
_SAME_HZ: Final = 20.0
_ODD_STEPS: Final = 1  # in the middle of a burst: a phase reversal of the answer tone
_LISTEN_FROM, _LISTEN_TO = int(300 / _BIN_HZ), int(2400 / _BIN_HZ)

Pitches: TypeAlias = tuple[float, ...]  # () for quiet


@dataclass(frozen=True, slots=True)
class _Burst:
    pitches: Pitches | None  # None: neither quiet nor a tone
    duration_ms: int

    def sounds(self, hertz: float, within_hz: float) -> bool:
        return self.pitches is not None and len(self.pitches) == 1 and abs(self.pitches[0] - hertz) <= within_hz


class ToneDetector:
    """Listens to frames of 20 ms; gives each tone once, when it is certain."""

    def __init__(self) -> None:
        self._earlier: NDArray[np.int16] | None = None  # first half of a window
        self._window = np.hanning(_WINDOW).astype(np.float32)
        self._pitches: Pitches | None = ()
        self._steps = 0  # of the run under way
        self._odd = 0
        self._bursts: deque[_Burst] = deque(maxlen=6)
        self._told: set[Tone] = set()  # of the tone that goes on

    def feed(self, samples: NDArray[np.int16]) -> list[Tone]:
        """Take the next 20 ms at 16 kHz."""
        earlier, self._earlier = self._earlier, samples
        if earlier is None:
            return []
        self._earlier = None
        self._follow(self._name(np.concatenate((earlier, samples))))
        found = [tone for tone in self._certain() if tone not in self._told]
        self._told.update(found)
        return found

    def _name(self, window: NDArray[np.int16]) -> Pitches | None:
        if int(window.max()) < _LEAST_PEAK:
            return ()
        transform = np.fft.rfft(window * self._window)
        spectrum = transform.real**2 + transform.imag**2
        total = float(spectrum.sum())
        first = self._pitch(spectrum, total)
        if first[1] < _PURE / 2:  # most of a voice ends here
            return None
        if first[1] >= _PURE:
            return (first[0],)
        second = self._pitch(spectrum, total)
        if second[1] < _SECOND * first[1] or first[1] + second[1] < _PURE:
            return None
        return (min(first[0], second[0]), max(first[0], second[0]))

    def _pitch(self, spectrum: NDArray[np.floating], total: float) -> tuple[float, float]:
        """Take the strongest pitch out of the spectrum: where it is, and its share of the power."""
        peak = _LISTEN_FROM + int(spectrum[_LISTEN_FROM:_LISTEN_TO].argmax())
        lobe = slice(peak - _LOBE, peak + _LOBE + 1)
        share = float(spectrum[lobe].sum()) / total
        below, here, above = spectrum[peak - 1 : peak + 2].tolist()
        centre = (above - below) / (below + here + above) if here else 0.0
        spectrum[lobe] = 0
        return (peak + centre) * _BIN_HZ, share

    def _follow(self, name: Pitches | None) -> None:
        """Lengthen the run under way, or end it and begin another."""
        if _same(name, self._pitches):
            self._steps += 1 + self._odd
            self._odd = 0
        elif name is None and self._pitches is not None and self._odd < _ODD_STEPS:
            self._odd += 1
        else:
            self._bursts.append(_Burst(self._pitches, self._steps * _STEP_MS))
            # A window at the edge of a tone holds neither: it belongs to what comes after it.
            self._pitches, self._steps = name, 1 + self._odd
            self._odd = 0
            if name is None:
                self._told.clear()  # a voice: what sounds after it is another tone

    def _certain(self) -> list[Tone]:
        now = _Burst(self._pitches, self._steps * _STEP_MS)
        found: list[Tone] = []
        if now.sounds(2100, 25) and now.duration_ms >= 500:
            found.append(Tone.FAX_ANSWER)
        if self._is_special_information(now):
            found.append(Tone.SPECIAL_INFORMATION)
        if now.pitches == () and now.duration_ms >= 200 and self._bursts:
            found += self._after(self._bursts[-1])
        if now.pitches:
            found += self._cadence(now.pitches)
        return found

    def _after(self, last: _Burst) -> list[Tone]:
        """Tell what a single burst was, now that quiet has followed it."""
        if last.sounds(1100, 40) and 400 <= last.duration_ms <= 620:
            return [Tone.FAX_CALLING]
        is_beep = last.pitches is not None and len(last.pitches) == 1 and 500 <= last.pitches[0] <= 2300
        if is_beep and 120 <= last.duration_ms <= 2000 and Tone.SPECIAL_INFORMATION not in self._told:
            return [Tone.BEEP]
        return []

    def _is_special_information(self, now: _Burst) -> bool:
        """Q.35: three tones that rise, 330 ms each (some networks: 276 or 380), nearly without gaps."""
        # A window across two of them holds both, for a frame or two.
        bursts = [burst for burst in (*self._bursts, now) if burst.duration_ms > 60][-3:]
        return (
            len(bursts) == 3
            and (bursts[0].sounds(950, 60) and bursts[1].sounds(1400, 60) and bursts[2].sounds(1790, 60))
            and all(burst.duration_ms >= 200 for burst in bursts)
        )

    def _cadence(self, pitches: Pitches) -> list[Tone]:
        """Tell busy from congestion by two whole periods of on and off, and a third burst of the same pitch."""
        if len(self._bursts) < 4 or not _is_call_progress(pitches):
            return []
        on_1, off_1, on_2, off_2 = list(self._bursts)[-4:]
        if off_1.pitches != () or off_2.pitches != ():
            return []
        if not (_same(on_1.pitches, pitches) and _same(on_2.pitches, pitches)):
            return []
        times = [burst.duration_ms for burst in (on_1, off_1, on_2, off_2)]
        # The first burst may have begun before we listened.
        if all(120 <= ms <= 280 for ms in times[1:]) and times[0] <= 280:
            return [Tone.CONGESTION]
        if all(320 <= ms <= 600 for ms in times[1:]) and times[0] <= 600:
            return [Tone.BUSY]
        return []


def _same(one: Pitches | None, other: Pitches | None) -> bool:
    if one is None or other is None:
        return one is other
    return len(one) == len(other) and all(abs(a - b) <= _SAME_HZ for a, b in zip(one, other, strict=True))


def _is_call_progress(pitches: Pitches) -> bool:
    """E.180 annex: 425 Hz in Azerbaijan and most of the world, 400 to 450 elsewhere, 480 with 620 in North America."""
    if len(pitches) == 1:
        return 380 <= pitches[0] <= 500
    return abs(pitches[0] - 480) <= _SAME_HZ and abs(pitches[1] - 620) <= _SAME_HZ
