from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bot.flows.testing import Expectation
from bot.loadtest.alignment import Reference
from bot.loadtest.analysis import Deed, Gap
from bot.loadtest.behaviour import StepKind
from bot.loadtest.caller import CallTaken
from bot.loadtest.caveats import NO_PESQ
from bot.loadtest.expectations import Told
from bot.loadtest.measuring import Measurer, find_pesq
from bot.loadtest.references import References
from bot.loadtest.sound import RATE_HZ, Samples
from telephony.leg import LegStats
from tests.fakes.talking_bot import speech

GREETING, ANSWER = speech(2.0, seed=1), speech(3.0, seed=2)
QUIET = np.zeros(RATE_HZ, np.int16)


def taken(folder: Path, *sounds: Samples, stats: LegStats | None = None, concealed: tuple[Gap, ...] = ()) -> CallTaken:
    """Greeting at 0, the caller's words from 2.2 to 2.6 s, what else there is from 3 s on."""
    path = folder / "call.pcm"
    np.concatenate([GREETING, QUIET, *sounds, QUIET]).tofile(path)
    return CallTaken(
        call="call", call_id="id", scenario="hours", began_s=99.9, media_began_s=100.0, answer_ms=30.0, length_s=7.0,
        path=path, deeds=(Deed(0, 0, StepKind.SAY, 2.2, 2.6),), unanswered=(), concealed=concealed,
        stats=stats or LegStats(received=350), frames_dropped=0, told=(), ended="", cut=False,
    )  # fmt: skip


def measurer(*known: Reference, learn: bool = False, pesq: float | None = None) -> Measurer:
    made = Measurer(References(known), learn=learn, pesq=None if pesq is None else lambda *_: pesq)
    made.begin_stage()
    return made


SOURCES = (Reference("greeting", GREETING), Reference("answer", ANSWER, "saat doqquzdan altıya qədər"))


def test_an_answer_that_came_whole_has_its_latency_words_and_score(tmp_path: Path) -> None:
    record = measurer(*SOURCES, pesq=4.2).measure(taken(tmp_path, ANSWER))

    (turn,) = record.turns
    assert turn.latency_ms == pytest.approx(400, abs=10)
    assert (turn.words_right, turn.words, turn.pesq) == (4, 4, 4.2)
    assert (record.gaps, record.cut_ms) == ((), 0.0)
    assert record.greeting_ms == pytest.approx(0, abs=10)
    assert record.mos == pytest.approx(4.4, abs=0.05)


def test_a_hole_in_an_answer_is_found_by_its_source_at_its_place(tmp_path: Path) -> None:
    half = len(ANSWER) // 2
    hole = np.zeros(RATE_HZ // 5, np.int16)

    record = measurer(*SOURCES).measure(taken(tmp_path, ANSWER[:half], hole, ANSWER[half:]))

    (gap,) = record.gaps
    assert (gap.length_ms, gap.told) == (pytest.approx(200, abs=3), False)
    assert gap.at_s == pytest.approx(4.5, abs=0.1)


def test_what_has_no_source_is_looked_through_for_abrupt_holes(tmp_path: Path) -> None:
    half = len(ANSWER) // 2
    hole = np.zeros(RATE_HZ // 5, np.int16)

    record = measurer(SOURCES[0]).measure(taken(tmp_path, ANSWER[:half], hole, ANSWER[half:]))

    assert [gap.length_ms for gap in record.gaps] == pytest.approx([200], abs=11)


def test_words_that_are_spoken_anew_are_counted_and_nothing_else_is_held_against_their_source(tmp_path: Path) -> None:
    loudness = float(np.sqrt(np.mean(ANSWER.astype(np.float64) ** 2)))
    anew = (ANSWER + np.random.default_rng(3).normal(0, 0.8 * loudness, len(ANSWER))).clip(-32767, 32767)

    record = measurer(*SOURCES, pesq=4.2).measure(taken(tmp_path, anew.astype(np.int16)))

    (turn,) = record.turns
    assert (turn.words, turn.pesq) == (4, None)
    assert record.aligned_s == pytest.approx(2.0, abs=0.2)  # the greeting's


def test_sources_are_learned_from_the_first_stage_and_then_held_against(tmp_path: Path) -> None:
    made = measurer(learn=True)
    first = taken(tmp_path, ANSWER)
    made.learn([first])
    assert made.measure(first).turns[0].words == made.measure(first).aligned_s == 0  # it is the source itself
    made.begin_stage()

    half = len(ANSWER) // 2
    record = made.measure(taken(tmp_path, ANSWER[:half], np.zeros(RATE_HZ // 10, np.int16), ANSWER[half:]))

    assert [gap.length_ms for gap in record.gaps] == pytest.approx([100], abs=3)


def test_an_answer_with_a_hole_that_the_line_told_of_is_no_source(tmp_path: Path) -> None:
    half = len(ANSWER) // 2
    holed = taken(tmp_path, ANSWER[:half], np.zeros(RATE_HZ // 10, np.int16), ANSWER[half:])
    made = measurer(learn=True)
    made.learn([replace(holed, concealed=(Gap(4.5, 100.0),))])

    whole = made.measure(taken(tmp_path, ANSWER))

    assert (whole.cut_ms, whole.gaps, whole.turns[0].words) == (0.0, (), 0)


def test_a_stage_without_answers_teaches_nothing_and_the_next_one_does(tmp_path: Path) -> None:
    made = measurer(learn=True)
    made.learn([replace(taken(tmp_path), path=None)])
    made.learn([taken(tmp_path, ANSWER)])
    made.learn([taken(tmp_path, speech(3.0, seed=9))])  # by now it is known

    again = made.measure(taken(tmp_path, QUIET[:100], ANSWER))

    assert again.aligned_s > 2


def test_concealed_stretches_are_gaps_in_speech_and_stalls_everywhere(tmp_path: Path) -> None:
    concealed = (Gap(1.0, 80.0), Gap(2.5, 80.0))

    record = measurer(*SOURCES).measure(taken(tmp_path, ANSWER, concealed=concealed))

    assert [(gap.at_s, gap.told) for gap in record.gaps] == [(1.0, True)]
    assert [gap.at_s for gap in record.stalls] == [1.0, 2.5]


def test_what_a_page_was_told_is_held_against_what_is_expected_of_the_turn(tmp_path: Path) -> None:
    made = Measurer(
        References(), learn=False, pesq=None,
        expectations={("hours", 0): (Expectation(text_contains="doqquz"),)},
    )  # fmt: skip
    call = taken(tmp_path, ANSWER)

    said = replace(call, told=(Told(2.8, "text", "Saat doqquzdan altıya"),))
    other = replace(call, told=(Told(2.8, "text", "Başa düşmədim"),))

    assert [made.measure(one).turns[0].unmet for one in (said, other, call)] == ["", "text_contains: doqquz", None]


def test_a_recogniser_counts_words_where_it_hears_any_and_the_alignment_where_it_fails(tmp_path: Path) -> None:
    def made(heard: str | None) -> Measurer:
        one = Measurer(References(SOURCES), learn=False, pesq=None, transcribe=lambda _: heard)
        one.begin_stage()
        return one

    call = taken(tmp_path, ANSWER)

    (by_ear,) = made("saat doqquzdan").measure(call).turns
    (by_source,) = made(None).measure(call).turns
    assert (by_ear.words_right, by_ear.words) == (2, 4)
    assert (by_source.words_right, by_source.words) == (4, 4)


def test_a_stages_allowance_of_alignments_ends(tmp_path: Path) -> None:
    made = measurer(*SOURCES, pesq=4.0)
    made.begin_stage(alignments=1, pesqs=0)

    record = made.measure(taken(tmp_path, ANSWER))
    assert [turn.words for turn in record.turns] == [0]  # the greeting had it
    assert record.examined_s == pytest.approx(2.0, abs=0.2)


def test_a_line_that_lost_packets_has_a_lower_score_and_a_silent_one_none(tmp_path: Path) -> None:
    lossy = measurer().measure(taken(tmp_path, ANSWER, stats=LegStats(received=950, lost=50)))
    silent = measurer().measure(replace(taken(tmp_path, ANSWER, stats=LegStats()), path=None))

    assert lossy.mos is not None
    assert lossy.mos < 4.0
    assert (silent.mos, silent.greeting_ms) == (None, None)


def test_a_call_that_the_bot_ended_is_complete_and_a_broken_one_failed(tmp_path: Path) -> None:
    call = taken(tmp_path, ANSWER)

    assert measurer().measure(replace(call, ended="caller_hung_up")).outcome == "completed"
    assert measurer().measure(replace(call, ended="failed the network connection was lost")).outcome == "failed"


@pytest.mark.skipif(find_spec("pesq") is None, reason=NO_PESQ)
def test_pesq_is_at_its_highest_for_what_came_whole_and_lower_for_noise() -> None:
    pesq = find_pesq()
    assert pesq is not None
    voice = speech(3.0, seed=5)
    noisy = (voice + np.random.default_rng(1).normal(0, 1500, len(voice))).astype(np.int16)

    clean, worse = pesq(voice, voice), pesq(voice, noisy)

    assert clean == pytest.approx(4.55, abs=0.01)
    assert worse is not None
    assert worse < 3.5
    assert pesq(np.zeros(RATE_HZ, np.int16), np.zeros(RATE_HZ, np.int16)) is None


def test_without_the_package_there_is_no_signal_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.loadtest.measuring.find_spec", lambda _: None)

    assert find_pesq() is None
