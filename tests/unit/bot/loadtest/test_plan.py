from __future__ import annotations

import re
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
        ({"brightness": 3}, "brightness: there is no such key; known: version, target, shape, scenarios"),
        ({"target": "127.0.0.1"}, "target: '127.0.0.1' cannot be called: write sip:bot@127.0.0.1:5060, or http://"),
        ({"target": "http://"}, "target: 'http://' is no URL"),
        ({"metrics_url": "127.0.0.1:7860"}, "metrics_url: '127.0.0.1:7860' is no URL"),
        ({"slo": {"latency_p95_ms": -1}}, "slo: latency_p95_ms is -1: a promise is a number above 0"),
        ({"slo": {"gaps_per_minute": ".nan"}}, "slo.gaps_per_minute: must be a valid number"),
        ({"slo": {"gaps_per_minute": float("nan")}}, "gaps_per_minute is nan"),
        ({"slo": {"missed_turn_share": 2}}, "missed_turn_share is 2: a share is between 0 and 1"),
        ({"shape": {"soak_hours": 1}}, "shape: soak_hours goes with calls"),
        ({"shape": {"steps": [1], "calls": 5}}, "shape: calls goes with soak_hours or find_knee"),
        ({"clips": ["nope"]}, "clips: there is no folder nope"),
        ({"references": "nope"}, "references: there is no folder nope"),
        ({"rtp_port_min": 50_000, "rtp_port_max": 40_000}, "rtp_port_min is not below rtp_port_max"),
        ({"scenarios": [{"name": "a", "turns": [{"user": "filan"}]}]}, "no clip says 'filan'; known: beli"),
    ],
)
def test_what_is_wrong_in_a_plan_is_named(change: dict[str, object], word: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(word)):
        load_plan(None, PLAN | change)


def test_a_misspelt_key_is_one_mistake_with_what_was_meant() -> None:
    plan = {"target": "sip:a@b", "shap": {"steps": [1]}, "scenarios": [{"name": "a", "turns": [{"usr": "Salam"}]}]}

    with pytest.raises(SettingsError) as refused:
        load_plan(None, plan)

    assert str(refused.value) == (
        "plan: scenarios.0.turns.0.usr: there is no such key; did you mean user?; "
        "shap: there is no such key; did you mean shape?"
    )


def test_a_soak_that_another_process_reads_again_is_the_same() -> None:
    plan = load_plan(None, PLAN | {"shape": {"soak_hours": 1, "calls": 4}})

    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert Plan.model_validate_json(load_plan(None, PLAN).model_dump_json()) == load_plan(None, PLAN)


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


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({"shape": {"hold_s": 5}}, "shape", Shape(steps=(1, 2), hold_s=5)),
        ({"shape": {"ramp": 8}}, "shape", Shape(ramp=8, hold_s=90)),
        ({"shape": {"steps": [3], "hold_s": 5}}, "shape", Shape(steps=(3,), hold_s=5)),
        ({"network": {"loss": 0.1}}, "network", Network(loss=0.1, delay_ms=40)),
        ({"network": {"delay_ms": 0}}, "network", Network(loss=0.02)),
        ({"slo": {"latency_p95_ms": 800}}, "slo", {"latency_p95_ms": 800, "gaps_per_minute": 0.5}),
    ],
)
def test_an_option_changes_what_it_names_and_leaves_the_rest_of_the_plan(
    options: dict[str, object], name: str, value: object, tmp_path: Path
) -> None:
    path = tmp_path / "mine.plan.yaml"
    path.write_text(
        "target: sip:bot@127.0.0.1\nshape: {steps: [1, 2], hold_s: 90}\nnetwork: {loss: 0.02, delay_ms: 40}\n"
        "slo: {latency_p95_ms: 1500, gaps_per_minute: 0.5}\nscenarios: [{name: a, turns: [{dtmf: 1}]}]\n"
    )

    assert getattr(load_plan(path, options), name) == value
