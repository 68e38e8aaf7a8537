"""`zeng dial` before it asks anybody."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from bot.dial import dial

app = typer.Typer()
app.command()(dial)


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--variable", "name"], "write NAME=VALUE"), (["--url", "127.0.0.1:7961"], "is no URL")],
)
def test_a_slip_on_the_command_line_is_told_before_anybody_is_asked(options: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["sip:100@pbx.example", *options])

    assert result.exit_code == 2
    assert said in result.output
