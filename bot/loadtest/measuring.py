"""From a call as taken to its record: the analysis of its recording, its sources, its line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from bot.flows.testing import Expectation
from bot.loadtest.alignment import narrow
from bot.loadtest.analysis import CallFigures, Gap, TurnFigures, abrupt_gaps, analyse
from bot.loadtest.caller import CallTaken
from bot.loadtest.expectations import unmet
from bot.loadtest.hearing import Transcribe, words_right
from bot.loadtest.learning import Answer, choose_sources
from bot.loadtest.references import References
from bot.loadtest.results import CallRecord, GapRecord, TurnRecord
from bot.loadtest.sound import LOUD_DB, RATE_HZ, WINDOW_S, Levels, Samples, levels
from telephony.audio.quality import mos, r_factor

_PACKET_MS = 20.0
_NEAR_S = 0.3
_LONGEST_ANSWER_S = 12.0
_LEAST_PESQ_S = 0.6
_MOST_LEARNED = 60  # answers

Pesq = Callable[[Samples, Samples], float | None]


def find_pesq() -> Pesq | None:
    """PESQ of `zeng[loadtest]`, narrow band, MOS-LQO; None where the package is not installed."""
    if find_spec("pesq") is None:
        return None
    module = import_module("pesq")

    def score(source: Samples, heard: Samples) -> float | None:
        if not source.any() or not heard.any():
            return None
        try:
            return float(module.pesq(8000, narrow(source), narrow(heard), "nb"))
        except (module.PesqError, ValueError):
            return None  # no utterance found

    return score


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was found in one answer."""

    record: TurnRecord | None
    gaps: tuple[Gap, ...] = ()
    cut_ms: float = 0.0
    aligned_s: float = 0.0
    examined_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Span:
    """Where an answer lies in a recording; `turn` is None for the greeting."""

    turn: TurnFigures | None
    name: str
    begin_s: float
    end_s: float

    def of(self, heard: Samples) -> Samples:
        """The answer itself."""
        return heard[round(self.begin_s * RATE_HZ) : round(self.end_s * RATE_HZ)]


class Measurer:
    """Measures calls; alignment and PESQ are dear, so only of so many turns a stage."""

    def __init__(
        self,
        references: References,
        *,
        learn: bool,
        pesq: Pesq | None,
        expectations: Mapping[tuple[str, int], Sequence[Expectation]] | None = None,
        transcribe: Transcribe | None = None,
    ) -> None:
        self._references = references
        self._learn = learn
        self._pesq = pesq
        self._expectations = expectations or {}
        self._transcribe = transcribe
        self._alignments_left = self._pesqs_left = self._transcripts_left = 0

    def begin_stage(self, *, alignments: int = 200, pesqs: int = 20, transcripts: int = 20) -> None:
        """Give a new stage its allowance."""
        self._alignments_left, self._pesqs_left, self._transcripts_left = alignments, pesqs, transcripts

    def learn(self, calls: Sequence[CallTaken]) -> None:
        """Take sources from a stage's answers where none were given and none are known yet."""
        if not self._learn:
            return
        answers: list[Answer] = []
        for taken in calls:
            heard = _heard(taken)
            for span in _spans(taken, analyse(heard, taken.deeds)):
                whole = not any(span.begin_s <= gap.at_s < span.end_s for gap in taken.concealed)
                if whole and len(answers) < _MOST_LEARNED:
                    answers.append(Answer(span.name, span.of(heard)))
        self._references = References(choose_sources(answers))
        self._learn = not len(self._references)

    def measure(self, taken: CallTaken) -> CallRecord:
        """Measure one call."""
        heard = _heard(taken)
        figures = analyse(heard, taken.deeds)
        at = levels(heard)
        told = [gap for gap in taken.concealed if _in_speech(gap, at)]
        gaps = list(told)
        turns: list[TurnRecord] = []
        cut_ms = aligned_s = examined_s = 0.0
        for found in self._answers(taken, figures, heard):
            gaps += found.gaps
            cut_ms, aligned_s = cut_ms + found.cut_ms, aligned_s + found.aligned_s
            examined_s += found.examined_s
            turns += [found.record] if found.record is not None else []
        stats = taken.stats
        came = stats.received + stats.lost
        return CallRecord(
            call=taken.call,
            call_id=taken.call_id,
            scenario=taken.scenario,
            began_s=taken.media_began_s,
            outcome="completed" if not taken.ended or taken.ended.startswith("caller_hung_up") else "failed",
            detail=taken.ended,
            answer_ms=taken.answer_ms,
            greeting_ms=figures.greeting_ms,
            length_s=taken.length_s,
            speech_s=figures.speech_s,
            turns=tuple(turns),
            gaps=_records(_distinct(gaps), told),
            stalls=_records(taken.concealed, taken.concealed),
            received=stats.received,
            lost=stats.lost,
            late=stats.late,
            concealed_ms=stats.concealed_ms,
            jitter_ms=stats.jitter_ms,
            playout_delay_ms=stats.playout_delay_ms,
            round_trip_ms=stats.round_trip_ms,
            frames_dropped=taken.frames_dropped,
            cut_ms=cut_ms,
            aligned_s=aligned_s,
            examined_s=examined_s,
            mos=mos(self._r(taken, 100 * (stats.lost + stats.late) / came)) if came else None,
        )

    def _r(self, taken: CallTaken, loss_percent: float) -> float:
        stats = taken.stats
        delay_ms = (stats.round_trip_ms or 0.0) / 2 + stats.playout_delay_ms + _PACKET_MS
        return r_factor(codec=stats.codec, loss_percent=min(100.0, loss_percent), delay_ms=delay_ms)

    def _answers(self, taken: CallTaken, figures: CallFigures, heard: Samples) -> Iterator[_Answer]:
        """The greeting, then each turn's answer."""
        spans = {span.turn: span for span in _spans(taken, figures)}
        if None in spans:
            yield self._answer(None, spans[None], heard)
        for turn in figures.turns:
            record = TurnRecord(
                step=turn.step, index=turn.index, kind=turn.kind, at_s=turn.at_s, until_s=turn.until_s,
                latency_ms=turn.latency_ms, stop_ms=turn.stop_ms, missed=turn.missed, early=turn.early,
                ignored=turn.ignored, false_stop=turn.false_stop, unmet=self._unmet(taken, turn),
            )  # fmt: skip
            yield self._answer(record, spans[turn], heard) if turn in spans else _Answer(record)

    def _unmet(self, taken: CallTaken, turn: TurnFigures) -> str | None:
        expected = self._expectations.get((taken.scenario, turn.index), ())
        return unmet(expected, taken.told, since_s=turn.at_s, until_s=turn.until_s) if expected else None

    def _answer(self, record: TurnRecord | None, span: _Span, heard: Samples) -> _Answer:
        answer, begin_s = span.of(heard), span.begin_s
        if self._alignments_left <= 0:
            return _Answer(record)
        self._alignments_left -= 1
        matched = self._references.match(span.name, answer)
        if matched is None:
            return _without_source(record, answer, begin_s)
        reference, found = matched
        if np.array_equal(reference.samples, answer):
            return _Answer(record)  # it was taken for the source: nothing is known of it
        if record is not None:
            update: dict[str, object] = {"words": found.words, "words_right": found.words_right}
            update |= self._words(reference.text, answer)
            if found.same and self._pesq is not None and self._pesqs_left > 0:
                update["pesq"] = self._score(reference.samples, answer, found.begin_s)
            record = record.model_copy(update=update)
        if not found.same:
            return _without_source(record, answer, begin_s)
        gaps = tuple(replace(gap, at_s=gap.at_s + begin_s) for gap in found.gaps)
        return _Answer(record, gaps, found.cut_ms, found.voiced_s, found.voiced_s)

    def _words(self, meant: str, answer: Samples) -> dict[str, object]:
        """Words by the recogniser, in the place of those by alignment."""
        if self._transcribe is None or not meant or self._transcripts_left <= 0:
            return {}
        self._transcripts_left -= 1
        heard = self._transcribe(answer)
        if heard is None:
            return {}
        right, total = words_right(meant, heard)
        return {"words": total, "words_right": right}

    def _score(self, source: Samples, answer: Samples, begin_s: float) -> float | None:
        assert self._pesq is not None
        heard = answer[max(0, round(begin_s * RATE_HZ)) :]
        length = min(len(source), len(heard))
        if length < _LEAST_PESQ_S * RATE_HZ:
            return None
        self._pesqs_left -= 1
        return self._pesq(source[:length], heard[:length])


def _without_source(record: TurnRecord | None, answer: Samples, begin_s: float) -> _Answer:
    """Look an answer through by itself."""
    at = levels(answer)
    gaps = tuple(replace(gap, at_s=gap.at_s + begin_s) for gap in abrupt_gaps(answer, at))
    return _Answer(record, gaps, examined_s=float(np.count_nonzero(at > LOUD_DB)) * WINDOW_S)


def _heard(taken: CallTaken) -> Samples:
    return np.fromfile(taken.path, np.int16) if taken.path is not None else np.zeros(0, np.int16)


def _spans(taken: CallTaken, figures: CallFigures) -> Iterator[_Span]:
    """The greeting, then each answer."""
    if figures.greeting_ms is not None:
        begin_s = figures.greeting_ms / 1000
        end_s = taken.deeds[0].begin_s if taken.deeds else taken.length_s
        yield _Span(None, f"{taken.scenario}-greeting", begin_s, min(end_s, begin_s + _LONGEST_ANSWER_S))
    for turn in figures.turns:
        if turn.latency_ms is not None:
            begin_s = turn.at_s + turn.latency_ms / 1000
            end_s = min(turn.until_s, begin_s + _LONGEST_ANSWER_S)
            yield _Span(turn, f"{taken.scenario}-{turn.index}", begin_s, end_s)


def _in_speech(gap: Gap, at: Levels) -> bool:
    begin, end, near = (
        int(gap.at_s / WINDOW_S),
        int((gap.at_s + gap.length_ms / 1000) / WINDOW_S),
        int(_NEAR_S / WINDOW_S),
    )
    before, after = at[max(0, begin - near) : begin + 2], at[end : end + near]
    return bool((before > LOUD_DB).any()) and bool((after > LOUD_DB).any())


def _distinct(gaps: Sequence[Gap]) -> list[Gap]:
    """One gap each, however many ways it was seen."""
    kept: list[Gap] = []
    for gap in sorted(gaps, key=lambda gap: gap.at_s):
        if kept and gap.at_s < kept[-1].at_s + max(_NEAR_S, kept[-1].length_ms / 1000):
            kept[-1] = max(kept[-1], gap, key=lambda one: one.length_ms)
        else:
            kept.append(gap)
    return kept


def _records(gaps: Sequence[Gap], told: Sequence[Gap]) -> tuple[GapRecord, ...]:
    return tuple(
        GapRecord(
            at_s=gap.at_s,
            length_ms=gap.length_ms,
            told=any(abs(gap.at_s - one.at_s) < max(_NEAR_S, one.length_ms / 1000) for one in told),
        )
        for gap in gaps
    )
