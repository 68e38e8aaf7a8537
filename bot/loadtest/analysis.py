"""What a caller's recording says of the bot: latencies, barge-in, missed and false turns, gaps. Media time, seconds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bot.loadtest.behaviour import StepKind
from bot.loadtest.sound import LOUD_DB, RATE_HZ, WINDOW_S, Levels, Samples, Stretch, level, levels, stretches

_IGNORED_S = 1.5  # a bot that still speaks so long after the caller has cut in has ignored it
_STOPPED_S = 0.6  # silence so long after a cough is the bot having stopped, not a pause
_GAP_S = 0.06
_LONGEST_GAP_S = 1.0
_SPEECH_JOIN_S = 0.3
_PAUSE_S = 0.6  # within a sentence, or a stall
_ABRUPT_DB = 6.0  # under the usual level of speech: no fading word
_EDGE = RATE_HZ // 125  # 8 ms, a period of a low voice
_SOUNDING = 150  # of int16: over the idle steps of G.711
_WINDOW = round(RATE_HZ * WINDOW_S)
_PATIENCE_S = 5.0  # silence shorter than this at the end of a recording is no missed turn


@dataclass(frozen=True, slots=True)
class Deed:
    """What the caller did: the voice (or key) from its first to its last sound as it left."""

    step: int
    index: int  # of the script
    kind: StepKind
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TurnFigures:
    """One deed of the caller and what the bot made of it."""

    step: int
    index: int
    kind: StepKind
    at_s: float  # the end of the deed
    until_s: float  # the next deed, or the end of the recording
    latency_ms: float | None = None  # to the bot's first sound
    stop_ms: float | None = None  # CUT_IN: from the caller's first sound to the bot's last
    missed: bool = False  # no sound came
    early: bool = False  # the bot spoke into the caller's turn
    ignored: bool = False  # CUT_IN: the bot went on
    false_stop: bool = False  # COUGH: the bot stopped


@dataclass(frozen=True, slots=True)
class Gap:
    """Silence inside bot speech that does not belong there."""

    at_s: float
    length_ms: float


@dataclass(frozen=True, slots=True)
class CallFigures:
    """One call."""

    greeting_ms: float | None  # from the first frame of media; None: the bot said nothing
    speech_s: float  # of the bot
    turns: tuple[TurnFigures, ...]


def analyse(heard: Samples, deeds: Sequence[Deed]) -> CallFigures:
    """Measure a call: `heard` is what came to the caller's ear at 16 kHz from the answer on."""
    at = levels(heard)
    sounds = stretches(at)
    return CallFigures(
        greeting_ms=sounds[0].begin_s * 1000 if sounds else None,
        speech_s=float(np.count_nonzero(at > LOUD_DB)) * WINDOW_S,
        turns=_turns(at, deeds, len(heard) / RATE_HZ),
    )


def _turns(at: Levels, deeds: Sequence[Deed], length_s: float) -> tuple[TurnFigures, ...]:
    ends = [*(deed.begin_s for deed in deeds[1:]), length_s]
    speech = stretches(at, join_s=_SPEECH_JOIN_S)
    turns = (_turn(speech, deed, until_s) for deed, until_s in zip(deeds, ends, strict=False))
    return tuple(turn for turn in turns if turn is not None)


def _turn(speech: Sequence[Stretch], deed: Deed, until_s: float) -> TurnFigures | None:
    """Judge one deed; None where the recording ends too soon to say."""
    turn = (deed.step, deed.index, deed.kind, deed.end_s, until_s)
    if deed.kind is StepKind.CUT_IN:
        speech = _continued(speech, deed)
    during = next((one for one in speech if one.begin_s < deed.begin_s < one.end_s), None)
    after = next((one for one in speech if deed.begin_s <= one.begin_s < until_s), None)
    if deed.kind is StepKind.COUGH:
        stopped = during is not None and during.end_s - deed.begin_s < _IGNORED_S / 2
        silent_s = (after.begin_s if after else until_s) - during.end_s if during else 0.0
        return TurnFigures(*turn, false_stop=stopped and silent_s >= _STOPPED_S)
    stop_ms: float | None = None
    if deed.kind is StepKind.CUT_IN and during is not None:
        stop_ms = (during.end_s - deed.begin_s) * 1000
        if stop_ms >= _IGNORED_S * 1000:
            return TurnFigures(*turn, ignored=True)
    if after is None:
        return TurnFigures(*turn, stop_ms=stop_ms, missed=True) if until_s - deed.end_s >= _PATIENCE_S else None
    if after.begin_s < deed.end_s:
        return TurnFigures(*turn, stop_ms=stop_ms, early=True)
    return TurnFigures(*turn, latency_ms=(after.begin_s - deed.end_s) * 1000, stop_ms=stop_ms)


def _continued(speech: Sequence[Stretch], deed: Deed) -> Sequence[Stretch]:
    """Join what the bot was saying as the caller cut in over its own pauses: its last words are no early reply."""
    before = [one for one in speech if one.begin_s < deed.begin_s]
    if not before:
        return speech
    last, rest = before[-1], speech[len(before) :]
    while (
        rest
        and rest[0].begin_s - last.end_s < _PAUSE_S
        and rest[0].begin_s < deed.end_s
        and rest[0].end_s - deed.begin_s < _IGNORED_S
    ):
        last, rest = Stretch(last.begin_s, rest[0].end_s), rest[1:]
    return [*before[:-1], last, *rest]


def abrupt_gaps(heard: Samples, at: Levels) -> tuple[Gap, ...]:
    """Find silence of 60 ms to 1 s that cuts speech off and lets it go on as loud: an underrun, not a pause.

    For speech whose source is not known; `at` are the levels of `heard`. Words fade within some milliseconds, and rise
    likewise; a stop in the stream does neither. Some pauses of espeak-ng are as abrupt: a source tells them apart.
    """
    loud = at > LOUD_DB
    if not loud.any():
        return ()
    least = float(np.median(at[loud])) - _ABRUPT_DB
    found: list[Gap] = []
    edges = np.flatnonzero(np.diff(loud.astype(np.int8)))
    for last, end in itertools.pairwise(edges.tolist()):
        length_s = (end - last) * WINDOW_S
        if loud[last + 1] or not _GAP_S <= length_s <= _LONGEST_GAP_S:
            continue
        around = heard[max(0, last - 1) * _WINDOW : (end + 3) * _WINDOW]
        sounding = np.flatnonzero(np.abs(around.astype(np.int32)) > _SOUNDING)
        pause = int(np.argmax(np.diff(sounding)))
        before, beyond = sounding[pause] + 1, sounding[pause + 1]
        if min(level(around[max(0, before - _EDGE) : before]), level(around[beyond : beyond + _EDGE])) > least:
            found.append(Gap((last + 1) * WINDOW_S, length_s * 1000))
    return tuple(found)
