"""Which flow a call runs."""

from __future__ import annotations

import os
import re
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


@pytest.mark.parametrize("name", ["survey", "klinika", ""])
def test_every_flow_that_was_asked_for_is_read_anew(choice: FlowChoice, tmp_path: Path, name: str) -> None:
    before = choice.of({"flow": name})
    assert not choice.refresh()
    file = tmp_path / f"{name or 'klinika'}.flow.yaml"
    file.write_text(re.sub(r"(?m)^disclosure:.*$", 'disclosure: "Yeni söz."', file.read_text("utf-8")), "utf-8")
    os.utime(file, (2e9, 2e9))

    assert choice.refresh()
    assert choice.of({"flow": name}) is not before
    assert choice.of({"flow": name}).disclosure is not None
