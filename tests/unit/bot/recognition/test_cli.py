from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.models.settings import ModelSettings
from bot.recognition.cli import make_cli
from bot.recognition.settings import RecogniserServerSettings


def test_serve_without_the_model_says_how_to_get_it(tmp_path: Path):
    cli = make_cli(lambda: (RecogniserServerSettings(), ModelSettings(cache_dir=tmp_path)))
    result = CliRunner().invoke(cli, ["serve", "--port", "0"])
    assert result.exit_code == 1
    assert "zeng models fetch whisper-base" in result.output


def test_help_reads_no_settings():
    def refuse() -> tuple[RecogniserServerSettings, ModelSettings]:
        raise AssertionError("settings were read")

    assert CliRunner().invoke(make_cli(refuse), ["serve", "--help"]).exit_code == 0


@pytest.mark.parametrize("option", ["--port=99999", "--threads=0"])
def test_a_wrong_option_is_refused(tmp_path: Path, option: str):
    cli = make_cli(lambda: (RecogniserServerSettings(), ModelSettings(cache_dir=tmp_path)))
    result = CliRunner().invoke(cli, ["serve", option])
    assert result.exit_code == 2
    assert option.partition("=")[0] in result.output
