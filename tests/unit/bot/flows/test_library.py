from __future__ import annotations

from pathlib import Path

import pytest

from bot.flows.loader import LIBRARY, read_flow
from bot.flows.rehearsal import Rehearsal
from bot.flows.testing import load_suite, run_scenario, run_suite
from bot.flows.texts import prompts
from bot.language.speakable import speakable

_FLOWS = sorted(LIBRARY.glob("*.flow.yaml"))


@pytest.mark.parametrize("path", _FLOWS, ids=lambda path: path.name)
def test_the_flows_that_are_shipped_have_no_problems_and_pass_their_tests(path: Path) -> None:
    flow, problems = read_flow(path.read_text(encoding="utf-8"), file=path.name)
    assert problems == []
    assert flow is not None
    suite, document = load_suite(path.with_name(path.name.replace(".flow.", ".test.")))
    failed = [(outcome.name, outcome.failures) for outcome in run_suite(flow, suite, document) if outcome.failures]
    assert failed == []


@pytest.mark.parametrize("path", _FLOWS, ids=lambda path: path.name)
def test_every_state_of_a_shipped_flow_is_visited_by_its_tests(path: Path) -> None:
    flow, _ = read_flow(path.read_text(encoding="utf-8"), file=path.name)
    assert flow is not None
    suite, _ = load_suite(path.with_name(path.name.replace(".flow.", ".test.")))
    visited: set[str] = set()

    def note(call: Rehearsal) -> None:
        visited.update(call.visited)

    for scenario in suite.scenarios:
        for _ in run_scenario(flow, scenario, watch=note):
            pass
    assert set(flow.states) - visited == set()


@pytest.mark.parametrize("path", _FLOWS, ids=lambda path: path.name)
def test_what_a_shipped_flow_says_can_be_spoken_and_is_short(path: Path) -> None:
    flow, _ = read_flow(path.read_text(encoding="utf-8"), file=path.name)
    assert flow is not None
    for _, text in prompts(flow):
        spoken = speakable(text.render({}))
        assert not any(character.isdigit() for character in spoken)
        assert len(spoken.split()) <= 40, spoken
