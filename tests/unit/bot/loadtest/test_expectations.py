from __future__ import annotations

import json

import pytest

from bot.flows.testing import Expectation
from bot.loadtest.expectations import Told, told, unmet

HEARD = (
    Told(1.0, "text", "Salam!"),
    Told(5.0, "state", "tell_hours"),
    Told(5.1, "text", "Saat doqquzdan altıya qədər."),
    Told(5.2, "state", "menu"),
)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({"text_contains": "doqquz"}, ""),
        ({"text_contains": "Salam"}, "text_contains: Salam"),  # said before this turn
        ({"text_excludes": "doqquz"}, "text_excludes: doqquz"),
        ({"text_excludes": "on"}, ""),
        ({"state": "menu"}, ""),
        ({"state": "tell_hours"}, "state: tell_hours, not ['menu']"),
        ({"visited": ["tell_hours"]}, ""),
        ({"visited": ["ask_day"]}, "visited: ask_day"),
        ({"ended": ["hangup", "normal"]}, "ended"),
    ],
)
def test_an_expectation_is_held_against_what_was_told_since_the_turn(expected: dict[str, object], found: str) -> None:
    assert unmet([Expectation.model_validate(expected)], HEARD, since_s=4.0, until_s=9.0) == found


def test_a_call_that_ended_meets_the_expectation_of_its_end() -> None:
    ended = (*HEARD, Told(6.0, "ended", "bot_hung_up"))

    assert unmet([Expectation.model_validate({"ended": ["hangup", "normal"]})], ended, since_s=4.0, until_s=9.0) == ""


def test_a_bot_that_tells_nothing_is_not_judged() -> None:
    assert unmet([Expectation(state="menu")], (), since_s=0.0, until_s=9.0) is None


def test_messages_of_the_page_are_read_and_others_passed_over() -> None:
    assert told(json.dumps({"type": "turn.bot", "turn_id": "1", "text": "Salam"}), now=2.0) == Told(
        2.0, "text", "Salam"
    )
    assert told(json.dumps({"type": "flow.state", "state": "menu", "why": ""}), now=2.0) == Told(2.0, "state", "menu")
    assert told(json.dumps({"type": "call.ended", "cause": "x"}), now=2.0) == Told(2.0, "ended", "x")
    for other in ("no json", "[1]", json.dumps({"type": "bot.speaking", "on": True})):
        assert told(other, now=2.0) is None
