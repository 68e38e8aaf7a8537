from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import SettingsError
from bot.loadtest import cli
from bot.loadtest.behaviour import Step, StepKind
from bot.loadtest.clips import ClipLibrary
from bot.loadtest.plan import CallerTurn, Network, Plan, Shape, load_plan

TURNS = [{"dtmf": 2}]
PLAN: dict[str, object] = {
    "target": "sip:bot@127.0.0.1", "shape": {"steps": [1, 2]}, "scenarios": [{"name": "a", "turns": TURNS}],
}  # fmt: skip


def test_the_plan_that_ships_is_whole_and_its_clips_exist() -> None:
    plan = load_plan(Path(cli.__file__).parent / "default.plan.yaml", {})
    library = ClipLibrary()

    for scenario in plan.scenarios:
        for turn in scenario.turns:
            step = turn.step()
            assert not step.clip or library.get(step.clip)
    assert plan.transport == "sip"


def test_turns_are_steps() -> None:
    turns = [
        {"user": "Salam"}, {"user": "Salam", "into_ms": 500}, {"dtmf": 12}, {"silence": True}, {"cough": True},
        {"hang_up": True}, {"hang_up": True, "into_ms": 300},
    ]  # fmt: skip

    assert [CallerTurn.model_validate(turn).step() for turn in turns] == [
        Step(StepKind.SAY, clip="Salam"),
        Step(StepKind.CUT_IN, clip="Salam", after_s=0.5),
        Step(StepKind.PRESS, digits="12"),
        Step(StepKind.SILENCE),
        Step(StepKind.COUGH, clip="cough", after_s=0.5),
        Step(StepKind.HANG_UP),
        Step(StepKind.HANG_UP, after_s=0.3),
    ]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"target": "tel:123"}, "target"),
        ({"slo": {"speed": 3}}, "no such promise: speed; known: latency_p50_ms"),
        ({"shape": {"steps": [1], "ramp": 5}}, "exactly one of steps"),
        ({"shape": {}}, "exactly one of steps"),
        ({"scenarios": [{"name": "a", "turns": [{"dtmf": 1, "user": "b"}]}]}, "split it"),
        ({"scenarios": [{"name": "a", "turns": [{"dtmf": 1, "into_ms": 5}]}]}, "into_ms goes with"),
        ({"speed": 3}, "speed"),
    ],
)
def test_what_is_wrong_in_a_plan_is_named(change: dict[str, object], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        load_plan(None, PLAN | change)


def test_a_file_that_is_no_plan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="mapping"):
        load_plan(path, {})
    with pytest.raises(SettingsError, match="cannot read"):
        load_plan(tmp_path / "none.yaml", {})


def test_the_command_line_lies_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(
        "target: sip:a@b\nshape: {steps: [9]}\nscenarios: [{name: a, turns: [{dtmf: 1}]}]", encoding="utf-8"
    )

    plan = load_plan(path, {"target": "http://127.0.0.1:7860", "shape": {"steps": [3]}})

    assert (plan.transport, plan.shape.stages()[0].calls) == ("webrtc", 3)


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ({"steps": [1, 2]}, ["1 call", "2 calls"]),
        ({"ramp": 5}, ["ramp to 5 calls"]),
        ({"burst_per_s": 2}, ["2 calls a second"]),
        ({"soak_hours": 1, "calls": 4}, ["4 calls, part 1 of 2", "4 calls, part 2 of 2"]),
        ({"find_knee": 100}, []),
    ],
)
def test_shapes_are_stages(shape: dict[str, object], names: list[str]) -> None:
    assert [stage.name for stage in Shape.model_validate(shape).stages()] == names


def test_expectations_are_those_of_flow_tests() -> None:
    turns = [{"dtmf": 2, "expect": [{"state": "tell_hours"}]}, {"dtmf": 3}]
    plan = Plan.model_validate(PLAN | {"scenarios": [{"name": "a", "turns": turns}]})

    ((key, (expected,)),) = plan.expectations.items()
    assert (key, expected.state) == (("a", 0), "tell_hours")


def test_a_network_is_clear_until_something_is_wrong_with_it() -> None:
    assert Network(loss_burst=3).clear
    assert not Network(jitter_ms=5).clear
    assert Network(loss=0.1, delay_ms=50).model().delay_s == 0.05
    assert Plan.model_validate(PLAN).network.clear
