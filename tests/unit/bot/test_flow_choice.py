"""Which flow a call runs."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import threading
from pathlib import Path

import pytest

from bot.errors import SettingsError
from bot.flow_choice import FlowChoice
from bot.flows import live
from bot.flows.flow import Flow
from bot.flows.live import LiveFlow
from bot.flows.loader import LIBRARY
from tests.waiting import HUNG_S, eventually


@pytest.fixture
def choice(tmp_path: Path) -> FlowChoice:
    own = tmp_path / "klinika.flow.yaml"
    shutil.copy(LIBRARY / "klinika.flow.yaml", own)
    shutil.copy(LIBRARY / "bank.flow.yaml", tmp_path / "sorğu.flow.yaml")
    shutil.copy(LIBRARY / "bank.flow.yaml", tmp_path / "survey.flow.yaml")
    return FlowChoice(own, LiveFlow(own))


async def flow(choice: FlowChoice, name: str = "") -> Flow:
    return (await choice.of({"flow": name})).current()


async def test_a_call_runs_the_flow_of_the_settings_unless_it_was_given_one(choice: FlowChoice) -> None:
    own = await choice.of({})

    assert await choice.of({"flow": ""}) is own
    assert (await flow(choice, "kommunal")).id != own.current().id  # one that ships
    assert await choice.of({"flow": "survey"}) is await choice.of({"flow": "survey"})  # one beside the service's own
    assert (await choice.of({"flow": "survey"})).version != own.version


@pytest.mark.parametrize("name", ["nowhere", "../klinika", "/etc/passwd", "sorğu", "a" * 65])
async def test_a_name_that_leads_to_no_flow_is_an_error(choice: FlowChoice, name: str) -> None:
    with pytest.raises(SettingsError):
        await choice.of({"flow": name})


async def test_a_flow_is_read_beside_the_calls_and_once_for_all_who_ask(choice: FlowChoice, monkeypatch) -> None:
    reading, go_on, readers = threading.Event(), threading.Event(), []
    read = live.parse_flow

    def held(text: str, *, file: str) -> Flow:
        readers.append(threading.get_ident())
        reading.set()
        assert go_on.wait(HUNG_S)
        return read(text, file=file)

    monkeypatch.setattr(live, "parse_flow", held)
    asked = [asyncio.create_task(choice.of({"flow": "bank"})) for _ in range(3)]
    await eventually(reading.is_set)
    own = await choice.of({})  # for another call that begins
    go_on.set()
    first, *others = await asyncio.gather(*asked)

    assert first is not own
    assert all(other is first for other in others)
    assert len(readers) == 1
    assert readers[0] != threading.get_ident()


async def test_a_flow_that_was_first_asked_for_is_told_of_once(choice: FlowChoice) -> None:
    assert not choice.refresh()
    bank = await flow(choice, "bank")

    assert choice.refresh()
    assert choice.flows == (await flow(choice), bank)
    assert not choice.refresh()


@pytest.mark.parametrize("name", ["survey", "klinika", ""])
async def test_every_flow_that_was_asked_for_is_read_anew(choice: FlowChoice, tmp_path: Path, name: str) -> None:
    before = await flow(choice, name)
    choice.refresh()
    assert not choice.refresh()
    file = tmp_path / f"{name or 'klinika'}.flow.yaml"
    file.write_text(re.sub(r"(?m)^disclosure:.*$", 'disclosure: "Yeni söz."', file.read_text("utf-8")), "utf-8")
    os.utime(file, (2e9, 2e9))

    assert choice.refresh()
    assert await flow(choice, name) is not before
    assert (await flow(choice, name)).disclosure is not None
