"""By what voice `zeng demo` and `zeng serve` speak."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.edge import cli
from bot.settings import load_settings
from tts_engine.shipped import ShippedVoice


@pytest.fixture
def ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "shipped_voice", lambda: ShippedVoice(Path("/voice"), 0.3))


@pytest.mark.usefixtures("ships")
def test_the_voice_that_ships_speaks_where_no_other_is_set() -> None:
    overrides = cli._with_shipped_voice(load_settings(None), None)
    assert overrides is not None
    tts = load_settings(None, overrides).tts
    assert (tts.backend, tts.csm.model, tts.csm.temperature, tts.csm.depth_temperature) == ("torch", "/voice", 0.3, 0.3)


@pytest.mark.usefixtures("ships")
def test_settings_of_the_voice_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENG_TTS__ESPEAK__PITCH", "40")
    assert cli._with_shipped_voice(load_settings(None), None) is None


@pytest.mark.usefixtures("ships")
def test_espeak_set_by_name_is_a_choice_though_it_is_what_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "zeng.toml"
    file.write_text('[tts]\nbackend = "espeak"\n', encoding="utf-8")
    assert cli._with_shipped_voice(load_settings(file), file) is None
    monkeypatch.setenv("ZENG_CONFIG", str(file))
    assert cli._with_shipped_voice(load_settings(None), None) is None
    file.write_text('[flow]\npath = "bank"\n', encoding="utf-8")
    monkeypatch.setenv("ZENG_TTS_SERVICE_HOST", "10.0.0.1")  # of Kubernetes
    assert cli._with_shipped_voice(load_settings(None), None) is not None
    monkeypatch.setenv("ZENG_TTS__BACKEND", "espeak")
    assert cli._with_shipped_voice(load_settings(None), None) is None


@pytest.mark.usefixtures("ships")
def test_without_torch_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda _: None)
    assert cli._with_shipped_voice(load_settings(None), None) is None


def test_while_none_has_passed_its_gate_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "shipped_voice", lambda: None)
    assert cli._with_shipped_voice(load_settings(None), None) is None


def test_espeak_can_be_asked_for_by_name() -> None:
    overrides = cli._with_voice(load_settings(None), "espeak")
    assert load_settings(None, overrides).tts.backend == "espeak"


def test_the_voice_that_ships_is_served_as_it_was_found_to_be_understood() -> None:
    overrides = cli._with_shipped_voice(load_settings(None), None)
    csm = load_settings(None, overrides).tts.csm
    assert (csm.piece_chars, csm.hears_conversation) == (60, False)
