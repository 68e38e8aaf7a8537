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
