"""`zeng` itself: what it imports for whom."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bot import cli


def test_the_version_is_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["zeng", "--version"])
    cli.main()
    assert capsys.readouterr().out.startswith("zeng 0.")


def test_the_small_commands_load_no_pipeline() -> None:
    script = "import bot.commands, sys; print('pipecat' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize("command", [["chat"], ["doctor"], ["models", "list"], ["models", "fetch"], ["stt", "serve"]])
@pytest.mark.parametrize(("variable", "value"), [("ZENG_CONFIG", "/nowhere/zeng.toml"), ("ZENG_WEB__PORT", "many")])
def test_a_wrong_setting_is_one_line_whatever_the_command(
    command: list[str], variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys, "argv", ["zeng", *command])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    told = capsys.readouterr().err.strip()
    assert (ended.value.code, told.count("\n")) == (1, 0)
    assert told.startswith(("zeng: no settings file at /nowhere", "zeng: settings: [web] port: must be"))


def test_a_level_that_there_is_not_is_a_wrong_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["zeng", "serve", "--log-level", "LOUD"])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 2
    assert "--log-level" in capsys.readouterr().err
