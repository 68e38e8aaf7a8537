from __future__ import annotations

from pathlib import Path

import pytest

from bot.loadtest.worst import CallerSounds, WorstTurn, turn_card, worst_turns
from tests.fakes.talking_bot import speech
from tests.unit.bot.loadtest.records import call, stage

PLAN: dict[str, object] = {
    "target": "sip:bot@127.0.0.1", "shape": {"steps": [1]},
    "scenarios": [{"name": "hours", "turns": [{"user": "İş saatlarınız necədir?"}, {"dtmf": "2"}]}],
}  # fmt: skip


def test_missed_turns_are_worse_than_slow_ones_and_gaps_count() -> None:
    found = worst_turns([stage([call([5000, None, 300]), call([310], name="g0-2", gaps=[400])])], 3)

    assert [one.turn.latency_ms for one in found] == [None, 5000, 310]


def card(folder: Path, plan: dict[str, object], **update: object) -> str:
    made = call([400])
    turn = made.turns[0].model_copy(update=update)
    return turn_card(1, WorstTurn("2 calls", made, turn, 0.0), folder, CallerSounds(plan))


def test_a_card_says_what_was_said_and_shows_the_callers_own_voice(tmp_path: Path) -> None:
    speech(60.0).tofile(tmp_path / "g0-00001.pcm")

    with_voice, without = card(tmp_path, PLAN), card(tmp_path, {})

    assert "400 ms</b> after “İş saatlarınız necədir?”" in with_voice
    assert "<audio" in without
    assert with_voice != without


def test_without_its_recording_a_card_has_its_figures_alone(tmp_path: Path) -> None:
    assert "<svg" not in card(tmp_path, PLAN)
    assert "key 2" in card(tmp_path, PLAN, index=1)


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({"missed": True}, "missed: no answer"),
        ({"ignored": True}, "barge-in ignored"),
        ({"early": True}, "spoke into the caller&#x27;s words"),
        ({"false_stop": True}, "stopped for a cough"),
        ({"latency_ms": None}, "no figure"),
    ],
)
def test_what_went_wrong_is_named(tmp_path: Path, update: dict[str, object], said: str) -> None:
    assert said in card(tmp_path, PLAN, **update)
