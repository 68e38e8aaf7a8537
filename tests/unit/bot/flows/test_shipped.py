from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import FlowError
from bot.flows.loader import LIBRARY
from bot.flows.shipped import flow_path, names


def test_a_name_is_one_that_ships_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").write_text("")

    assert flow_path("klinika") == LIBRARY / "klinika.flow.yaml"
    assert flow_path("own") == Path("own")
    assert flow_path("flows/klinika") == Path("flows/klinika")
    assert flow_path("absent.flow.yaml") == Path("absent.flow.yaml")  # whoever reads it says so


def test_a_name_that_is_neither_is_refused_with_those_that_ship() -> None:
    assert names() == ["bank", "klinika", "kommunal", "xatirlatma"]
    with pytest.raises(FlowError, match="'klinikaa': give a file, or one that ships: bank, klinika"):
        flow_path("klinikaa")
