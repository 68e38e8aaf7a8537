"""Which flow a call runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bot.errors import SettingsError
from bot.flow_choice import FlowChoice
from bot.flows.live import LiveFlow
from bot.flows.loader import LIBRARY


@pytest.fixture
def choice(tmp_path: Path) -> FlowChoice:
    own = tmp_path / "klinika.flow.yaml"
    shutil.copy(LIBRARY / "klinika.flow.yaml", own)
    shutil.copy(LIBRARY / "bank.flow.yaml", tmp_path / "sorğu.flow.yaml")
    shutil.copy(LIBRARY / "bank.flow.yaml", tmp_path / "survey.flow.yaml")
    return FlowChoice(own, LiveFlow(own))


def test_a_call_runs_the_flow_of_the_settings_unless_it_was_given_one(choice: FlowChoice) -> None:
    own = choice.of({}).id

    assert choice.of({"flow": ""}).id == own
    assert choice.of({"flow": "kommunal"}).id != own  # one that ships
    assert choice.of({"flow": "survey"}) is choice.of({"flow": "survey"})  # one beside the service's own


@pytest.mark.parametrize("name", ["nowhere", "../klinika", "/etc/passwd", "sorğu", "a" * 65])
def test_a_name_that_leads_to_no_flow_is_an_error(choice: FlowChoice, name: str) -> None:
    with pytest.raises(SettingsError):
        choice.of({"flow": name})
