from __future__ import annotations

from dataclasses import replace

import pytest

from bot.loadtest.behaviour import StepKind
from bot.loadtest.plan import Network
from bot.loadtest.results import GapRecord
from bot.loadtest.summary import gap_rate, observations_of
from tests.unit.bot.loadtest.records import WELL, call, stage


def test_the_figures_of_a_stage_are_those_of_all_its_calls() -> None:
    found = stage([call([400, 600]), call([500, None], gaps=[80])], failures={"503 Service Unavailable": 2})

    assert found.figures["latency_p50_ms"] == 500
    assert found.figures["missed_turn_share"] == 0.25
    assert found.figures["failed_call_share"] == 0.5
    assert found.figures["gaps_per_minute"] == pytest.approx(1.0)
    assert found.summaries["latency_ms"].count == 3
    assert found.figures["barge_in_p95_ms"] is None


def test_keys_and_voice_are_kept_apart() -> None:
    found = stage([call([400]), call([60], kind=StepKind.PRESS)])

    assert (found.figures["latency_p95_ms"], found.figures["key_latency_p95_ms"]) == (400, 60)


def test_a_promise_is_held_against_the_figures() -> None:
    assert stage([call([400])], promises={"latency_p95_ms": 500}).held
    assert not stage([call([600])], promises={"latency_p95_ms": 500}).held


def test_a_stage_without_calls_keeps_no_promise() -> None:
    found = stage([], promises={"latency_p95_ms": 500})

    assert not found.held
    assert set(found.figures.values()) == {None}


def test_turns_that_went_another_way_than_expected_are_a_share_of_those_judged() -> None:
    turns = call([400, 500, 600]).turns
    judged = (turns[0].model_copy(update={"unmet": ""}), turns[1].model_copy(update={"unmet": "state: menu"}), turns[2])

    found = stage([call([]).model_copy(update={"turns": judged})], promises={"unexpected_turn_share": 0.4})

    assert found.figures["unexpected_turn_share"] == 0.5
    assert not found.held


def test_a_generator_at_its_limit_makes_the_stage_invalid() -> None:
    assert stage([call([400])], health=replace(WELL, cpu_share=1.0)).invalid
    assert stage([call([400])]).invalid == ()


def test_a_call_that_broke_counts_as_failed_by_its_cause() -> None:
    broken = call([400]).model_copy(update={"outcome": "failed", "detail": "media_timeout no RTP came"})

    found = stage([broken, call([400])])

    assert found.figures["failed_call_share"] == 0.5
    assert found.failures == {"media_timeout no RTP came": 1}


def test_stalls_of_all_calls_lie_on_one_clock_for_the_diagnosis() -> None:
    stalled = call([400]).model_copy(update={"stalls": (GapRecord(at_s=5.0, length_ms=300),)})

    (gap,) = observations_of([stalled], network=Network(), sockets=(None, None)).gaps

    assert (gap.call, gap.at, gap.length_ms) == ("g0-00001", 105.0, 300)


def test_gaps_are_counted_over_the_speech_that_was_looked_through_for_them() -> None:
    found = (GapRecord(at_s=2.0, length_ms=80), GapRecord(at_s=9.0, length_ms=80, told=True))
    half = call([400]).model_copy(update={"gaps": found, "examined_s": 15.0})  # of 30 s
    unseen = call([400]).model_copy(update={"gaps": found[1:]})

    assert gap_rate([half]) == 60 * (1 / 30 + 1 / 15)
    assert gap_rate([half, unseen]) == 60 * (2 / 60 + 1 / 15)
    assert gap_rate([unseen]) == 60 / 30
    assert gap_rate([call([]).model_copy(update={"speech_s": 0.0})]) is None
