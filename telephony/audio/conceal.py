"""Packet loss concealment by repeating the pitch waveform, after ITU-T G.711 Appendix I, at 8 kHz or a multiple.

A lost frame goes on with the last pitch period, from 10 ms on with the last two, from 20 ms on with three, so that
no buzz arises; it stays at full level for 20 ms, then falls, and is silent after 100 ms (the appendix: 10 and 60; the
slower fall gains 0.05 PESQ and 0.2 PLCMOS at 5 % loss in bursts). Unlike the appendix this holds no audio back: the
step at the start of a loss is faded out instead of overlapped.

Where the frame after the loss is at hand already (a jitter buffer holds it), the gap is bridged instead of faded: the
repeated pitch is stretched a little, so that it meets the next frame in phase, and its level goes over into that one's.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

_PITCH_MIN_S = 0.005  # 200 Hz; a higher voice repeats in multiples of its period
_PITCH_MAX_S = 0.015  # 66 Hz
_MATCH_S = 0.020
_HISTORY_S = 3 * _PITCH_MAX_S + 0.00375  # three periods and the quarter before them
_FULL_LEVEL_S = 0.020
_SILENT_AFTER_S = 0.100
_RETURN_STEP_S = 0.004  # longer overlap on return for each 10 ms lost, up to 10 ms
_RETURN_MAX_S = 0.010
_SEARCH_HZ = 8_000
_KEPT_FRAMES = 16
_BRIDGED_MAX_S = 0.040  # a longer gap is not bridged: the two sides have little to do with each other
_BRIDGE_PERIODS = 1  # of two or three, older sound, PESQ falls by 0.1 to 0.4
_LIKE = 0.3  # correlation from which the two sides are the same voice in the same sound
_GAIN_MIN, _GAIN_MAX = 0.1, 1.5

_Signal = NDArray[np.float64]


class Concealer:
    """One stream: give it every good frame with `feed`, ask `conceal` for each that is missing.

    Frames may have any length from 4 ms up; shorter ones would leave too little past to find a pitch in.
    """

    def __init__(self, rate_hz: int) -> None:
        if rate_hz <= 0 or rate_hz % _SEARCH_HZ:
            raise ValueError(f"cannot conceal at {rate_hz} Hz: give a multiple of {_SEARCH_HZ}")
        self._rate_hz = rate_hz
        self._kept = round(_HISTORY_S * rate_hz)
        self._silent_after = round(_SILENT_AFTER_S * rate_hz)
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far, as after a pause."""
        self._recent: deque[NDArray[np.int16]] = deque(maxlen=_KEPT_FRAMES)
        self._lost = 0  # samples made up in a row
        self._past: _Signal = np.zeros(0)
        self._pitch = 0
        self._phase = 0
        self._gain = 1.0  # at which the made-up sound meets the frame after a bridged gap
        self._bridged = False

    def feed(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take a good frame; returns it, its beginning blended with the made-up sound where it ends a loss."""
        if self._lost:
            samples = self._return(samples)
        self._recent.append(samples)
        return samples

    @property
    def is_silent(self) -> bool:
        """Whether `conceal` gives zeros: the sound has faded out, or there has been none."""
        return not self._recent or self._lost >= self._silent_after

    def bridge(self, count: int, following: NDArray[np.int16]) -> NDArray[np.int16]:
        """Make up the last `count` samples before `following`, which is to be fed next."""
        if (
            self.is_silent
            or self._lost + count > _BRIDGED_MAX_S * self._rate_hz
            or len(following) < self._rate_hz // 100
        ):
            return self.conceal(count)
        if not self._lost:
            self._study()
        made = self._meet(count, following.astype(np.float64))
        if not self._lost:
            self._smooth_start(made)
        self._lost += count
        return np.rint(made).astype(np.int16)

    def _meet(self, count: int, following: _Signal) -> _Signal:
        """Repeat the pitch over `count` samples so that it arrives at `following` in phase and at its level."""
        reach = min(self._pitch // 2, count // 8)
        window = following[: max(self._pitch, len(following) // 2)]
        ahead = self._repeat(_BRIDGE_PERIODS, count + reach + len(window))
        likeness = np.correlate(ahead[count - reach :], window, "valid")
        energy = np.concatenate(([0.0], np.cumsum(ahead[count - reach :] ** 2)))
        energy = np.maximum(energy[len(window) :] - energy[: -len(window)], 1.0)
        likeness = likeness / np.sqrt(energy * max(float(window @ window), 1.0))
        best = int(np.argmax(likeness))
        stretch = best - reach if likeness[best] > _LIKE else 0
        level = np.sqrt(float(window @ window) / energy[stretch + reach])
        first, last = float(self._level(self._lost, 1)[0]), float(np.clip(level, _GAIN_MIN, _GAIN_MAX))
        at = np.arange(count) * ((count + stretch) / count)
        made = np.interp(at, np.arange(len(ahead)), ahead) * np.linspace(first, last, count)
        self._phase += count + stretch
        self._gain, self._bridged = last, True
        return np.clip(made, -32768, 32767)

    def conceal(self, count: int) -> NDArray[np.int16]:
        """Make up the next `count` samples; zeros once the sound has faded out."""
        if self.is_silent:
            return np.zeros(count, np.int16)
        if not self._lost:
            self._study()
        made = self._continue(count)
        if not self._lost:
            self._smooth_start(made)
        self._lost += count
        return np.rint(made).astype(np.int16)

    def _study(self) -> None:
        past = np.zeros(self._kept)
        recent = np.concatenate(self._recent)[-self._kept :]
        past[self._kept - len(recent) :] = recent
        self._past = past
        self._pitch = _pitch_period(past, self._rate_hz)
        self._phase = 0

    def _quarter(self) -> int:
        return self._pitch // 4

    def _pattern(self, periods: int) -> _Signal:
        """Cut out the last periods, their end faded into what came before their start: they repeat without a seam."""
        length = periods * self._pitch
        overlap = self._quarter()
        pattern = self._past[-length:].copy()
        fade = np.arange(1, overlap + 1) / (overlap + 1)
        pattern[-overlap:] = pattern[-overlap:] * (1 - fade) + self._past[-length - overlap : -length] * fade
        return pattern

    def _continue(self, count: int) -> _Signal:
        """Make the next samples, at their level, in steps of 10 ms at whose borders the pattern may grow."""
        parts: list[_Signal] = []
        step = self._rate_hz // 100
        start = self._lost
        while count:
            length = min(count, step - start % step)
            periods = min(start // step + 1, 3)
            part = self._repeat(periods, length)
            if start in (step, 2 * step):
                overlap = min(self._quarter(), length)
                fade = np.arange(1, overlap + 1) / (overlap + 1)
                part[:overlap] = part[:overlap] * fade + self._repeat(periods - 1, overlap) * (1 - fade)
            parts.append(part * self._level(start, length))
            self._phase += length
            start += length
            count -= length
        return np.concatenate(parts)

    def _repeat(self, periods: int, length: int) -> _Signal:
        pattern = self._pattern(periods)
        return pattern[(self._phase + np.arange(length)) % len(pattern)]

    def _level(self, start: int, length: int) -> _Signal:
        at_s = (start + np.arange(length)) / self._rate_hz
        level = 1 - (at_s - _FULL_LEVEL_S) / (_SILENT_AFTER_S - _FULL_LEVEL_S)
        return np.clip(level, 0.0, 1.0)

    def _smooth_start(self, made: _Signal) -> None:
        """Let the step between the good sound and the repeated one fade out."""
        overlap = min(self._quarter(), len(made))
        step = self._past[-1] - self._past[-1 - self._pitch]
        made[:overlap] += step * (1 - np.arange(1, overlap + 1) / (overlap + 1))
        np.clip(made, -32768, 32767, out=made)

    def _return(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        if self._bridged:
            return self._return_from_bridge(samples)
        overlap_s = self._quarter() / self._rate_hz + _RETURN_STEP_S * (self._lost / self._rate_hz / 0.010)
        overlap = min(round(min(overlap_s, _RETURN_MAX_S) * self._rate_hz), len(samples))
        fade = np.arange(1, overlap + 1) / (overlap + 1)
        blended = samples.astype(np.float64)
        blended[:overlap] = blended[:overlap] * fade + self._continue(overlap) * (1 - fade)
        self._lost = 0
        return np.rint(blended).astype(np.int16)

    def _return_from_bridge(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        overlap = min(self._quarter(), len(samples))
        fade = np.arange(1, overlap + 1) / (overlap + 1)
        blended = samples.astype(np.float64)
        blended[:overlap] = blended[:overlap] * fade + self._repeat(_BRIDGE_PERIODS, overlap) * self._gain * (1 - fade)
        self._lost, self._bridged = 0, False
        return np.rint(np.clip(blended, -32768, 32767)).astype(np.int16)


def crossfade(first: NDArray[np.int16], second: NDArray[np.int16]) -> NDArray[np.int16]:
    """Two consecutive frames in the time of one, continuous with what comes before the first and after the second."""
    fade = np.arange(1, len(first) + 1) / (len(first) + 1)
    return np.rint(first * (1 - fade) + second * fade).astype(np.int16)


def _pitch_period(past: _Signal, rate_hz: int) -> int:
    """Lag in samples at which the end of `past` resembles itself most, from its normalised cross-correlation."""
    coarse = rate_hz // _SEARCH_HZ
    lag = _best_lag(
        past[::-coarse][::-1], round(_PITCH_MIN_S * _SEARCH_HZ), round(_PITCH_MAX_S * _SEARCH_HZ), _SEARCH_HZ
    )
    if coarse == 1:
        return lag
    lowest = max(lag * coarse - coarse, round(_PITCH_MIN_S * rate_hz))
    return _best_lag(past, lowest, min(lag * coarse + coarse, round(_PITCH_MAX_S * rate_hz)), rate_hz)


def _best_lag(past: _Signal, lowest: int, highest: int, rate_hz: int) -> int:
    length = round(_MATCH_S * rate_hz)
    earlier = past[-length - highest : len(past) - lowest]
    likeness = np.correlate(earlier, past[-length:], "valid")  # index n: the stretch `highest - n` samples back
    energy = np.concatenate(([0.0], np.cumsum(earlier * earlier)))
    energy = energy[length:] - energy[:-length]
    return highest - int(np.argmax(likeness / np.sqrt(np.maximum(energy, 1.0))))
