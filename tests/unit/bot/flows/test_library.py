from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from bot.flows.loader import LIBRARY, load_flow, read_flow
from bot.flows.rehearsal import Rehearsal
from bot.flows.testing import load_suite, run_scenario, run_suite
from bot.flows.texts import prompts
from bot.language.phrases import best_match
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
@pytest.mark.parametrize("engine", ["rules", "llm"])
def test_the_same_tests_pass_by_rules_alone_and_with_a_language_model_that_is_away(path: Path, engine: str) -> None:
    text = path.read_text(encoding="utf-8").replace("engine: hybrid", f"engine: {engine}")
    flow, problems = read_flow(text, file=path.name)
    assert flow is not None, problems
    suite, _ = load_suite(path.with_name(path.name.replace(".flow.", ".test.")))
    for scenario in suite.scenarios:
        if scenario.understand is None:
            away = scenario.model_copy(update={"llm": () if engine == "llm" else None})
            assert list(run_scenario(flow, away)) == [], scenario.name


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


_MISHEARD = Path(__file__).parents[3] / "data" / "az_misheard.tsv"


def test_what_whisper_makes_of_telephone_speech_is_understood_as_measured() -> None:
    """Synthetic voices through an 8 kHz channel and Whisper base; `meaning` is an intent or none of any flow."""
    with _MISHEARD.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    outcome: Counter[str] = Counter()
    for path in _FLOWS:
        named = {name: intent.phrases for name, intent in load_flow(path).intents.items()}
        for row in rows:
            meaning = {"repeat": "again"}.get(row["meaning"], row["meaning"])
            match = best_match(row["recognised"], named)
            if meaning in named:
                found = "missed" if match is None else "right" if match.name == meaning else "wrong"
                outcome[found] += 1
            elif match is not None:
                outcome["false, said" if match.exact else "false, by sound"] += 1
    assert outcome["right"] >= 155
    assert outcome["wrong"] == outcome["false, by sound"] == 0
    assert outcome["false, said"] <= 1  # the recogniser made up a whole sentence of its hints
