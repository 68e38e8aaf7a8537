"""What of a source came through, and where time was put in or cut out: the heard answer laid along its source.

The source is cut into pieces of 160 ms; each voiced piece is looked for where it should come by normalised
cross-correlation at 8 kHz. The shift of the pieces is the delay; where it jumps up, the stream stood still; where it
jumps down, something is gone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from bot.loadtest.analysis import Gap
from bot.loadtest.sound import RATE_HZ, Samples
from telephony.audio.resample import Resampler

_RATE = 8_000
_PIECE = 1280
_HOP = 640
_VOICED = 200.0  # RMS of int16
_ALIKE = 0.7
_SAME = 0.9  # of the pieces' median; under it the words were spoken anew
_STAYS = 0.6  # of the pieces as late as the one before; of other words, in a voice of like vowels, at most 0.53 are
_STEPS = 8  # between pieces, of which that share is one: in an answer that was cut off one stall is all there is
_GAP_MS = 60.0
_PAUSE_GAP_MS = 250.0  # a pause of the source that grows by less is heard as a pause; prompts are joined by such
_AHEAD = 9_600  # how far a piece may come late, 1.2 s
_BEHIND = 4_800  # how far early: a source of which a part stood still, 0.6 s
_STEADY_MS = 2.0
_STRAY, _AROUND = 480, 3  # 60 ms; pieces on either side
_ANCHORS = 4  # pieces that are tried to find where an answer begins

_Wave = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reference:
    """What the bot may say, as its voice made it; 16 kHz. `text` may be empty."""

    name: str
    samples: Samples
    text: str = ""


@dataclass(frozen=True, slots=True)
class Alignment:
    """How an answer lies along its source."""

    begin_s: float  # where the source's start fell in the answer
    pieces: int  # voiced ones of the source that could have come (up to a cut)
    found: int
    gaps: tuple[Gap, ...]  # of 60 ms and more, in a pause of the source of 250 ms and more; times in the answer
    inserted_ms: float  # all time put in, smaller bits too
    cut_ms: float  # all speech cut out
    shortened_ms: float  # by how much the source's pauses are shorter: no loss
    words_right: int
    words: int
    likeness: float  # median of the pieces found
    stays: float  # share of the pieces that come as late as the one before; 1 where they are too few to say

    @property
    def same(self) -> bool:
        """Whether it is the source's own sound; else words spoken anew, or others, of which no time can be compared."""
        return self.likeness >= _SAME and self.stays >= _STAYS

    @property
    def found_share(self) -> float:
        """How much of the voiced source was heard."""
        return self.found / self.pieces if self.pieces else 0.0

    @property
    def voiced_s(self) -> float:
        """How much voice was looked for."""
        return self.pieces * _HOP / _RATE


def align(reference: Reference, heard: Samples, *, until_s: float | None = None) -> Alignment | None:
    """Lay `heard` along the source; None where it is another text. What comes after `until_s` does not count."""
    source, answer = narrow(reference.samples), narrow(heard)
    starts = [at for at in range(0, len(source) - _PIECE + 1, _HOP) if _rms(source[at : at + _PIECE]) > _VOICED]
    if not starts or len(answer) < _PIECE:
        return None
    first = _anchor(source, answer, starts)
    if first is None:
        return None
    limit = len(answer) if until_s is None else min(len(answer), int(until_s * _RATE))
    shifts: list[tuple[int, int | None]] = []
    alike: list[float] = []
    now = first
    for at in starts:
        if at + now + _PIECE > limit:
            break
        low = max(0, at + now - _BEHIND)
        found, likeness = _find(source[at : at + _PIECE], answer[low : at + now + _PIECE + _AHEAD])
        if likeness >= _ALIKE:
            now = low + found - at
            shifts.append((at, now))
            alike.append(likeness)
        else:
            shifts.append((at, None))
    return _judge(reference, first, shifts, median(alike) if alike else 0.0)


def _anchor(source: _Wave, answer: _Wave, starts: Sequence[int]) -> int | None:
    """How late the source begins in the answer, by the first piece that is found: a cut may spoil one."""
    for at in starts[: 2 * _ANCHORS : 2]:
        within = answer[: at + _PIECE + 4 * _AHEAD]
        place, likeness = _find(source[at : at + _PIECE], within)
        if likeness >= _ALIKE:
            return place - at
    return None


def _judge(reference: Reference, first: int, shifts: list[tuple[int, int | None]], likeness: float) -> Alignment:
    found = _steady([(at, shift) for at, shift in shifts if shift is not None])
    gaps: list[Gap] = []
    inserted_ms = cut_ms = shortened_ms = 0.0
    steps = stayed = 0
    resumed = [at for (last, _), (at, _) in itertools.pairwise(shifts) if at - last >= _PIECE]  # after a pause
    for (last, before), (at, after) in itertools.pairwise(found):
        jump_ms = (after - before) * 1000 / _RATE
        steps, stayed = steps + 1, stayed + (abs(jump_ms) <= _STEADY_MS)
        pause = any(last < begin <= at for begin in resumed)
        if jump_ms >= (_PAUSE_GAP_MS if pause else _GAP_MS):
            gaps.append(Gap((at + before) / _RATE, jump_ms))
        if jump_ms > _STEADY_MS:
            inserted_ms += jump_ms
        elif jump_ms < -_STEADY_MS and pause:
            shortened_ms -= jump_ms
        elif jump_ms < -_STEADY_MS:
            cut_ms -= jump_ms
    words, right = _words(reference, shifts)
    return Alignment(
        first / _RATE,
        len(shifts),
        sum(shift is not None for _, shift in shifts),
        tuple(gaps),
        inserted_ms,
        cut_ms,
        shortened_ms,
        right,
        words,
        likeness,
        stayed / steps if steps >= _STEPS else 1.0,
    )


def _steady(found: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out pieces that lie far from most around them: taken for others that sound alike. No step is.

    At either end it is the last pieces there that are around: where an answer was cut off, those of the source behind
    the cut may be found before it.
    """
    kept: list[tuple[int, int]] = []
    for index, piece in enumerate(found):
        begin = max(0, min(index - _AROUND, len(found) - 2 * _AROUND - 1))
        around = [shift for _, shift in found[begin : begin + 2 * _AROUND + 1]]
        if len(around) <= 2 * _AROUND or abs(piece[1] - median(around)) <= _STRAY:
            kept.append(piece)
    return kept


def _words(reference: Reference, shifts: list[tuple[int, int | None]]) -> tuple[int, int]:
    """Count words whose share of the source's time (by letters) was heard: more than half of its pieces."""
    words = reference.text.split()
    length = len(reference.samples) * _RATE // RATE_HZ
    letters = sum(map(len, words)) or 1
    total = right = done = 0
    for word in words:
        begin, done = done * length // letters, done + len(word)
        end = done * length // letters
        pieces = [shift is not None for at, shift in shifts if at < end and at + _PIECE > begin]
        total += bool(pieces)
        right += bool(pieces) and 2 * sum(pieces) > len(pieces)
    return total, right


def narrow(samples: Samples) -> _Wave:
    """16 kHz to 8 kHz."""
    return Resampler(RATE_HZ, _RATE).feed(samples).astype(np.float32)


def _rms(wave: _Wave) -> float:
    return float(np.sqrt(np.mean(wave.astype(np.float64) ** 2)))


def _find(piece: _Wave, within: _Wave) -> tuple[int, float]:
    """Where the piece, which is no longer than `within`, is most alike, and how much: 1 is equal but for loudness."""
    size = 1 << (len(within) + len(piece) - 1).bit_length()
    spectrum = np.fft.rfft(within, size) * np.conj(np.fft.rfft(piece, size))
    products = np.fft.irfft(spectrum, size)[: len(within) - len(piece) + 1]
    sums = np.cumsum(np.concatenate(([0.0], within.astype(np.float64) ** 2)))
    energy = sums[len(piece) :] - sums[: -len(piece)]
    likeness = products / np.sqrt(np.maximum(energy, 1e3) * max(1e3, float(np.sum(piece.astype(np.float64) ** 2))))
    best = int(np.argmax(likeness))
    return best, float(likeness[best])
