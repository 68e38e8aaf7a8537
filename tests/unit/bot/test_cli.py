"""`zeng` itself: what it imports for whom."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("command", "missing", "extra"),
    [(["finetune", "compare", "a", "b"], "peft", "finetune"), (["serve"], "uvicorn", "bot")],
)
def test_an_extra_that_is_not_installed_is_one_line_with_its_remedy(
    command: list[str], missing: str, extra: str
) -> None:
    script = f"import sys; sys.modules[{missing!r}] = None; from bot import cli; cli.main()"
    ran = subprocess.run([sys.executable, "-c", script, *command], check=False, capture_output=True, text=True)

    assert ran.returncode == 1
    assert (
        ran.stderr
        == f"zeng {command[0]}: {missing} is not installed: {sys.executable} -m pip install 'zeng[{extra}]'\n"
    )


def test_nobody_is_told_of_this_machine(tmp_path: Path) -> None:
    """ONNX Runtime keeps an identifier of the machine in the home, next to what it has yet to send."""
    script = """if True:
        from bot import cli
        cli.main()
        from bot.speech_detector import SileroSession
        SileroSession()
        from huggingface_hub import constants
        print(constants.HF_HUB_DISABLE_TELEMETRY)
    """
    told_otherwise = ("CI", "DO_NOT_TRACK", "ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in told_otherwise}
    ran = subprocess.run(
        [sys.executable, "-c", script, "--version"],
        check=True,
        capture_output=True,
        text=True,
        env=environment | {"HOME": str(tmp_path)},
    )

    assert ran.stdout.splitlines()[-1] == "True"
    assert list(tmp_path.rglob("*")) == []


def test_a_module_of_ours_that_is_missing_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bot.commands", None)
    monkeypatch.setattr(sys, "argv", ["zeng", "doctor"])

    with pytest.raises(ModuleNotFoundError):
        cli.main()


def test_a_section_of_the_settings_is_named_in_the_help_and_is_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["zeng", "serve", "--help"])

    with pytest.raises(SystemExit):
        cli.main()

    assert "nothing of [tts] is set" in " ".join(capsys.readouterr().out.split())


def test_a_level_that_there_is_not_is_a_wrong_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["zeng", "serve", "--log-level", "LOUD"])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 2
    assert "--log-level" in capsys.readouterr().err
