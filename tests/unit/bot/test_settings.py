from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import SettingsError
from bot.settings import load_settings
from tests.configuration_page import PAGE, page


def test_the_defaults_are_valid() -> None:
    assert load_settings(None).web.host == "127.0.0.1"


def test_environment_goes_over_file_and_arguments_over_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "zeng.toml"
    file.write_text('[web]\nport = 1000\nhost = "0.0.0.0"\n[workers]\ncalls = 3\n')
    monkeypatch.setenv("ZENG_WEB__PORT", "2000")

    settings = load_settings(file, {"workers": {"calls": 4}})

    assert (settings.web.host, settings.web.port, settings.workers.calls) == ("0.0.0.0", 2000, 4)


@pytest.mark.parametrize(
    ("text", "named"),
    [("[web]\nprot = 1\n", "web.prot"), ("[web]\nport = 70000\n", "web.port"), ("[wbe]\nport = 1\n", "wbe")],
)
def test_a_wrong_or_unknown_name_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "zeng.toml"
    file.write_text(text)

    with pytest.raises(SettingsError, match=named):
        load_settings(file)


def test_a_name_that_is_unknown_is_said_to_be(tmp_path: Path) -> None:
    file = tmp_path / "zeng.toml"
    file.write_text("[web]\nprot = 1\n")

    with pytest.raises(SettingsError, match=r"there is no such setting; docs/configuration\.md has all"):
        load_settings(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        load_settings(tmp_path / "none.toml")


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "zeng.toml"
    file.write_text("[web\n")

    with pytest.raises(SettingsError, match=r"zeng\.toml"):
        load_settings(file)


def test_the_configuration_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.configuration_page`"


def test_trunks_are_an_array_of_tables_and_each_needs_its_servers(tmp_path: Path) -> None:
    file = tmp_path / "zeng.toml"
    file.write_text('[[sip.trunks]]\nname = "pbx"\nservers = ["sip:pbx.example;transport=tls"]\noptions_s = 30\n')
    (trunk,) = load_settings(file).sip.trunks
    assert (trunk.name, trunk.registers, trunk.password_env) == ("pbx", True, "")

    file.write_text('[[sip.trunks]]\nname = "pbx"\n')
    with pytest.raises(SettingsError, match="servers"):
        load_settings(file)
