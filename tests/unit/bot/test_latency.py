from __future__ import annotations

from bot.latency import TurnClock


def test_the_stages_add_up_to_the_whole() -> None:
    clock = TurnClock("t1", 10.0, recognised_at=10.6, recognition_began_at=10.2, turn_ended_at=10.7)
    clock.answered_at = 10.71
    clock.sounded_at = 10.8

    latency = clock.latency(played_at=10.81)

    assert latency.total_ms == 810
    assert latency.stages.model_dump() == {
        "endpoint": 300,
        "recognition": 400,
        "flow": 10,
        "speech": 90,
        "playout": 10,
    }


def test_a_key_has_no_recognition() -> None:
    clock = TurnClock("t1", 10.0, recognised_at=None, recognition_began_at=10.0, turn_ended_at=10.0)

    latency = clock.latency(played_at=10.05)

    assert latency.total_ms == 50
    assert latency.stages.recognition == 0
    assert latency.stages.playout == 0
    assert latency.stages.speech == 50


def test_a_text_that_came_after_the_turn_ended_counts_up_to_its_end_only() -> None:
    clock = TurnClock("t1", 10.0, recognised_at=11.0, recognition_began_at=10.2, turn_ended_at=10.7)

    assert clock.latency(played_at=10.8).stages.recognition == 500
