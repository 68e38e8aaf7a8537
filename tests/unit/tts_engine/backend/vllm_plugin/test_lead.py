from __future__ import annotations

from tts_engine.backend.vllm_plugin.lead import Leads


def leads() -> Leads:
    return Leads(frame_s=0.08, plenty_s=2.0, little_s=0.5)


def test_nobody_rests_while_nobody_is_short():
    bench = leads()
    bench.resting([("a", 1), ("b", 1)], waiting=False, now=0.0)
    assert bench.resting([("a", 40), ("b", 30)], waiting=False, now=1.0) == set()


def test_who_is_two_seconds_ahead_rests_while_another_is_about_to_run_dry():
    bench = leads()
    bench.resting([("ahead", 1), ("short", 1), ("between", 1)], waiting=False, now=0.0)
    frames = [("ahead", 40), ("short", 18), ("between", 30)]  # 3.2, 1.44 and 2.4 s, of which 1 s is played
    assert bench.resting(frames, waiting=False, now=1.0) == {"ahead"}


def test_who_is_ahead_rests_while_another_has_not_begun():
    bench = leads()
    bench.resting([("ahead", 1)], waiting=False, now=0.0)
    assert bench.resting([("ahead", 40), ("new", 0)], waiting=False, now=1.0) == {"ahead"}
    assert bench.resting([("ahead", 40)], waiting=True, now=1.0) == {"ahead"}


def test_who_rests_goes_on_once_the_lead_is_played():
    bench = leads()
    bench.resting([("ahead", 1)], waiting=True, now=0.0)
    assert bench.resting([("ahead", 30)], waiting=True, now=0.3) == {"ahead"}
    assert bench.resting([("ahead", 30)], waiting=True, now=0.5) == set()


def test_a_name_that_comes_again_begins_anew():
    bench = leads()
    bench.resting([("a", 1)], waiting=False, now=0.0)
    bench.resting([], waiting=False, now=1.0)
    assert bench.resting([("a", 40)], waiting=True, now=100.0) == {"a"}
