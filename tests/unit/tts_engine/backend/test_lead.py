from __future__ import annotations

from collections.abc import Set as AbstractSet

import pytest

from tts_engine.backend.lead import Leads


def leads() -> Leads[str]:
    return Leads(frame_s=0.08, plenty_s=2.0, little_s=0.5)


def resting(bench: Leads[str], frames: list[tuple[str, int]], *, waiting: bool = False, now: float) -> AbstractSet[str]:
    return bench.resting(lambda: frames, waiting=waiting, now=now)


def test_nobody_rests_while_nobody_is_short():
    bench = leads()
    resting(bench, [("a", 1), ("b", 1)], now=0.0)
    assert resting(bench, [("a", 40), ("b", 30)], now=1.0) == set()


def test_who_is_two_seconds_ahead_rests_while_another_is_about_to_run_dry():
    bench = leads()
    resting(bench, [("ahead", 1), ("short", 1), ("between", 1)], now=0.0)
    frames = [("ahead", 40), ("short", 18), ("between", 30)]  # 3.2, 1.44 and 2.4 s, of which 1 s is played
    assert resting(bench, frames, now=1.0) == {"ahead"}


def test_who_is_ahead_rests_while_another_has_not_begun():
    bench = leads()
    resting(bench, [("ahead", 1)], now=0.0)
    assert resting(bench, [("ahead", 40), ("new", 0)], now=1.0) == {"ahead"}
    assert resting(bench, [("ahead", 40)], waiting=True, now=1.0) == {"ahead"}


def test_who_rests_goes_on_once_the_lead_is_played():
    bench = leads()
    resting(bench, [("ahead", 1)], waiting=True, now=0.0)
    assert resting(bench, [("ahead", 30)], waiting=True, now=0.3) == {"ahead"}
    assert resting(bench, [("ahead", 30)], waiting=True, now=0.5) == set()


def test_a_name_that_comes_again_begins_anew():
    bench = leads()
    resting(bench, [("a", 1)], now=0.0)
    resting(bench, [], now=1.0)
    assert resting(bench, [("a", 40)], waiting=True, now=100.0) == {"a"}


def test_leads_are_looked_at_every_other_frame_only():
    bench, looks = leads(), list[float]()

    def frames(now: float) -> list[tuple[str, int]]:
        looks.append(now)
        return [("a", 100)]

    for step in range(50):
        now = step * 0.025
        bench.resting(lambda now=now: frames(now), waiting=False, now=now)
    assert looks == pytest.approx([0.0, 0.175, 0.35, 0.525, 0.7, 0.875, 1.05, 1.225])


def test_between_two_looks_who_begins_is_waited_for_all_the_same():
    bench = leads()
    resting(bench, [("ahead", 1)], now=0.0)
    assert resting(bench, [("ahead", 40)], now=1.0) == set()
    assert resting(bench, [("ahead", 41)], waiting=True, now=1.02) == {"ahead"}
    assert resting(bench, [("ahead", 41)], now=1.04) == set()
