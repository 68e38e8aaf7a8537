"""The terminal chat with the real tool client."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from bot.flows.cli import app
from tests.fakes.flows import ENDS, FRAME

_FLOW = f"""\
{FRAME}tools: {{t: {{http: {{method: POST, url: "http://127.0.0.1:9/", retries: 0}}, on: {{ok: end, error: sorry}}}}}}
start: menu
states:
  menu: {{say: Buyurun., menu: [{{intent: book, dtmf: "1", then: call}}]}}
  call: {{call: t}}
  sorry: {{say: Alınmadı., then: end}}
{ENDS}"""


def test_chat_calls_the_tools_of_the_flow_and_survives_their_absence(tmp_path: Path) -> None:
    flow = tmp_path / "a.flow.yaml"
    flow.write_text(_FLOW, encoding="utf-8")
    result = CliRunner().invoke(app, ["chat", str(flow), "--private-host", "localhost"], input="/1\n")
    assert result.exit_code == 0
    assert "Alınmadı." in result.stdout
