from __future__ import annotations

from bot.loadtest.behaviour import StepKind
from bot.loadtest.caveats import NO_PESQ, caveats
from tests.unit.bot.loadtest.records import call, report, stage

SAY = {StepKind.SAY}


def test_a_hold_shorter_than_the_first_prompt_is_said_to_be_so() -> None:
    (said,) = caveats([call([])], hold_s=20.0, asked=SAY, scored=True)

    assert said.startswith("no turns were measured: a hold of 20 s is over before")
    assert said.endswith("hold 40 s")


def test_keys_alone_leave_the_spoken_turns_unmeasured() -> None:
    keys = call([60.0] * 30, kind=StepKind.PRESS)

    assert "no spoken turn was measured: hold 60 s" in caveats([keys], hold_s=30.0, asked=SAY, scored=True)
    assert not any("spoken" in one for one in caveats([keys], hold_s=30.0, asked={StepKind.PRESS}, scored=True))


def test_a_percentile_of_few_turns_is_said_to_be_the_slowest_and_how_long_to_hold_for_more() -> None:
    (few, _) = caveats([call([400.0] * 8)], hold_s=60.0, asked=SAY, scored=True)
    (one, _) = caveats([call([400.0])], hold_s=1000.0, asked=SAY, scored=True)

    assert few == "p95 of 8 spoken turns is close to the slowest: for 20 hold 150 s, or more calls"
    assert one == "p95 of 1 spoken turn is close to the slowest: for 20 hold much longer, or more calls"


def test_a_missing_signal_score_says_why_and_what_to_do() -> None:
    enough = call([400.0] * 20)
    scored = enough.model_copy(update={"turns": (enough.turns[0].model_copy(update={"pesq": 4.5}), *enough.turns[1:])})

    assert caveats([enough], hold_s=60.0, asked=SAY, scored=False) == (NO_PESQ,)
    (no_source,) = caveats([enough], hold_s=60.0, asked=SAY, scored=True)
    assert "--references" in no_source
    assert caveats([enough], hold_s=60.0, asked=SAY, scored=True, valid=False) == ()  # no sources are taken from it
    assert caveats([scored], hold_s=60.0, asked=SAY, scored=True) == ()


def test_a_stage_without_calls_has_its_failures_to_say() -> None:
    assert caveats([], hold_s=60.0, asked=SAY, scored=False) == ()


def test_what_holds_for_every_stage_is_said_once() -> None:
    made = report(stage([call([400.0] * 20)]), stage([call([400.0])], name="4 calls"))

    assert len(made.caveats) == 2
    assert made.caveats[0].startswith("no signal score")
    assert made.caveats[1].startswith("4 calls: p95 of 1 spoken turn")
