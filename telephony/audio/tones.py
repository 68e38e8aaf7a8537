"""Tones of the network and of machines (ITU-T E.180, Q.35, T.30) in 16 kHz audio: which, by pitch and cadence.

Each 40 ms is named by the one or two pitches that hold nearly all of its power, or as quiet, or as anything else.
Runs of one name are the bursts of a cadence. A vowel is never so pure for so long; `tests/data/speech` is the proof.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
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
_HANN: Final = np.hanning(_WINDOW).astype(np.float32)
_TINY: Final = np.finfo(np.float32).tiny
_AROUND: Final = np.arange(-_LOBE, _LOBE + 1)
_SETTLED_STEPS: Final = 16  # a run that goes on for longer makes nothing certain that it has not made certain before

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
        self.earlier: NDArray[np.int16] | None = None  # first half of a window
        self._pitches: Pitches | None = ()
        self._steps = 0  # of the run under way
        self._odd = 0
        self._bursts: deque[_Burst] = deque(maxlen=6)
        self._told: set[Tone] = set()  # of the tone that goes on

    def feed(self, samples: NDArray[np.int16]) -> list[Tone]:
        """Take the next 20 ms at 16 kHz."""
        (found,) = feed_together((self,), samples[np.newaxis, :])
        return found

    def hear(self, name: Pitches | None) -> list[Tone]:
        """Take the name of the next window of 40 ms; `feed` and `feed_together` give it."""
        self._follow(name)
        if self._steps > _SETTLED_STEPS:
            return []
        found = [tone for tone in self._certain() if tone not in self._told]
        self._told.update(found)
        return found

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


def feed_together(detectors: Sequence[ToneDetector], samples: NDArray[np.int16]) -> list[list[Tone]]:
    """Feed 20 ms of each of some streams, (streams, 320), to as many detectors; what each has found comes in order."""
    found: list[list[Tone]] = [[] for _ in detectors]
    whole: list[int] = []
    earlier: list[NDArray[np.int16]] = []
    for index, detector in enumerate(detectors):
        if detector.earlier is None:
            detector.earlier = samples[index]
        else:
            whole.append(index)
            earlier.append(detector.earlier)
            detector.earlier = None
    if whole:
        later = samples if len(whole) == len(detectors) else samples[whole]
        for index, name in zip(whole, _names(np.concatenate((earlier, later), axis=1)), strict=True):
            found[index] = detectors[index].hear(name)
    return found


def _names(windows: NDArray[np.int16]) -> list[Pitches | None]:
    """Name each of (windows, 640)."""
    names: list[Pitches | None] = [()] * len(windows)
    loud = np.flatnonzero(windows.max(axis=1) >= _LEAST_PEAK)
    if not len(loud):
        return names
    transform = np.fft.rfft((windows if len(loud) == len(windows) else windows[loud]) * _HANN)
    spectra = transform.real**2 + transform.imag**2
    peaks, shares = _strongest(spectra)
    for row, (index, hertz, share) in enumerate(zip(loud.tolist(), peaks.tolist(), shares.tolist(), strict=True)):
        if share >= _PURE:
            names[index] = (hertz,)
        elif share < _PURE / 2:  # most of a voice ends here
            names[index] = None
        else:
            names[index] = _pair(spectra[row], hertz, share)
    return names


def _strongest(spectra: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Give of each of (windows, bins) where its strongest pitch is, in Hz, and that pitch's share of the power."""
    peaks = spectra[:, _LISTEN_FROM:_LISTEN_TO].argmax(axis=1) + _LISTEN_FROM
    lobes = spectra[np.arange(len(spectra))[:, np.newaxis], peaks[:, np.newaxis] + _AROUND]
    below, here, above = lobes[:, _LOBE - 1], lobes[:, _LOBE], lobes[:, _LOBE + 1]
    centres = (above - below) / np.maximum(below + here + above, _TINY)
    return (peaks + centres) * _BIN_HZ, lobes.sum(axis=1) / spectra.sum(axis=1)


def _pair(spectrum: NDArray[np.floating], hertz: float, share: float) -> Pitches | None:
    """Name a window whose strongest pitch holds no more than some of its power."""
    total = spectrum.sum()
    rest = spectrum.copy()
    peak = _LISTEN_FROM + int(spectrum[_LISTEN_FROM:_LISTEN_TO].argmax())
    rest[peak - _LOBE : peak + _LOBE + 1] = 0
    others, shares = _strongest(rest[np.newaxis, :])
    other, other_share = float(others[0]), float(shares[0] * rest.sum() / total)
    if other_share < _SECOND * share or share + other_share < _PURE:
        return None
    return (min(hertz, other), max(hertz, other))


def _same(one: Pitches | None, other: Pitches | None) -> bool:
    if one is None or other is None:
        return one is other
    return len(one) == len(other) and all(abs(a - b) <= _SAME_HZ for a, b in zip(one, other, strict=True))


def _is_call_progress(pitches: Pitches) -> bool:
    """E.180 annex: 425 Hz in Azerbaijan and most of the world, 400 to 450 elsewhere, 480 with 620 in North America."""
    if len(pitches) == 1:
        return 380 <= pitches[0] <= 500
    return abs(pitches[0] - 480) <= _SAME_HZ and abs(pitches[1] - 620) <= _SAME_HZ
