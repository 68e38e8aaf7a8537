from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from pipecat.flows import FlowConfig
from typer.testing import CliRunner

from bot.flows.cli import app
from bot.flows.loader import LIBRARY
from tests.fakes.flows import ENDS, FRAME

_KLINIKA = str(LIBRARY / "klinika.flow.yaml")
_FLOW = f"""\
{FRAME}variables: {{operator: "", name: Şəfa}}
tools: {{t: {{http: {{method: POST, url: "https://refused.invalid/"}}, on: {{ok: end, error: end}}}}}}
start: menu
states:
  menu:
    say: "{{{{ name }}}}. Buyurun."
    menu: [{{intent: book, dtmf: "1", then: call}}, {{intent: hours, then: go}}]
  call: {{call: t}}
  go: {{transfer: {{to: "{{{{ operator }}}}", on_fail: end}}}}
{ENDS}"""


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    path = tmp_path / "a.flow.yaml"
    path.write_text(_FLOW, encoding="utf-8")
    return path


def test_lint_of_a_clean_folder_succeeds(runner: CliRunner) -> None:
    result = runner.invoke(app, ["lint", str(LIBRARY)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "0 errors, 0 warnings\n"


def test_lint_tells_file_line_and_remedy_and_fails(runner: CliRunner, flow: Path) -> None:
    flow.write_text(_FLOW.replace("start: menu", "start: menus"), encoding="utf-8")
    result = runner.invoke(app, ["lint", str(flow)])
    assert result.exit_code == 1
    assert f"{flow}:16: error: there is no state 'menus' (unknown-state). Did you mean 'menu'?" in result.stdout


def test_lint_as_json_is_for_programs(runner: CliRunner, flow: Path) -> None:
    flow.write_text("id: [", encoding="utf-8")
    result = runner.invoke(app, ["lint", "--json", str(flow), str(flow.with_name("none.flow.yaml"))])
    assert result.exit_code == 1
    syntax, absent = json.loads(result.stdout)
    assert (syntax["code"], syntax["line"], syntax["severity"]) == ("yaml", 1, "error")
    assert set(syntax) == {"file", "line", "severity", "code", "message", "remedy", "path"}
    assert absent["code"] == "unreadable"


def test_warnings_fail_only_when_that_is_asked_for(runner: CliRunner, flow: Path) -> None:
    flow.write_text(_FLOW.replace("disclosure: Salam, bu robotdur.\n", ""), encoding="utf-8")
    assert runner.invoke(app, ["lint", str(flow)]).exit_code == 0
    assert runner.invoke(app, ["lint", "--strict", str(flow)]).exit_code == 1


def test_the_graph_is_mermaid(runner: CliRunner) -> None:
    result = runner.invoke(app, ["graph", _KLINIKA])
    assert result.exit_code == 0
    assert result.stdout.startswith("flowchart TD\n")


def test_a_flow_with_mistakes_is_not_drawn(runner: CliRunner, flow: Path) -> None:
    flow.write_text("version: 1\n", encoding="utf-8")
    result = runner.invoke(app, ["graph", str(flow)])
    assert result.exit_code == 1
    assert "the key 'id' is missing" in result.stderr


def test_tests_of_a_folder_or_of_a_flow_are_run(runner: CliRunner) -> None:
    for path in (str(LIBRARY), _KLINIKA):
        result = runner.invoke(app, ["test", path])
        assert result.exit_code == 0, result.stdout
        assert "ok   klinika.test.yaml:" in result.stdout
        assert ", 0 failed" in result.stderr


def test_a_failing_test_fails_with_its_line(runner: CliRunner, flow: Path) -> None:
    tests = flow.with_name("a.test.yaml")
    tests.write_text(
        "scenarios:\n  - name: wrong\n    turns:\n      - {dtmf: 5, expect: [{state: end}]}\n", encoding="utf-8"
    )
    result = runner.invoke(app, ["test", str(tests)])
    assert result.exit_code == 1
    assert "FAIL a.test.yaml:2: wrong" in result.stdout
    assert f"{tests}:4: expected the state end, is in menu" in result.stdout


def test_a_test_file_with_mistakes_or_without_tests_fails(runner: CliRunner, flow: Path, tmp_path: Path) -> None:
    flow.with_name("a.test.yaml").write_text("scenarios: []\n", encoding="utf-8")
    assert runner.invoke(app, ["test", str(flow)]).exit_code == 1
    (tmp_path / "empty").mkdir()
    assert runner.invoke(app, ["test", str(tmp_path / "empty")]).exit_code == 1


def test_chat_takes_lines_as_speech_keys_and_silence(runner: CliRunner, flow: Path) -> None:
    result = runner.invoke(app, ["chat", str(flow), "--variable", "name=Həyat"], input="nə\n\n/#\n/5\n/x\n/0\n")
    assert result.exit_code == 0
    assert "Həyat. Buyurun." in result.stdout
    assert "Başa düşmədim." in result.stdout
    assert "Eşitmədim." in result.stdout
    assert result.stdout.rstrip().endswith("[hang up: normal]")


def test_chat_ends_with_the_input_and_shows_a_transfer(runner: CliRunner, flow: Path) -> None:
    assert runner.invoke(app, ["chat", str(flow)], input="nə\n").exit_code == 0
    result = runner.invoke(app, ["chat", str(flow), "--variable", "operator=sip:1@pbx"], input="iş saatları\n")
    assert result.stdout.rstrip().endswith("[transfer to sip:1@pbx]")


@pytest.mark.parametrize(("variable", "said"), [("name", "write NAME=VALUE"), ("nme=x", "has no variable nme")])
def test_chat_loses_no_variable_in_silence(runner: CliRunner, flow: Path, variable: str, said: str) -> None:
    result = runner.invoke(app, ["chat", str(flow), "--variable", variable])
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("command", ["lint", "test", "graph", "chat", "compile"])
def test_a_flow_that_ships_is_found_by_its_name(runner: CliRunner, command: str) -> None:
    assert runner.invoke(app, [command, "klinika"]).exit_code == 0
    wrong = runner.invoke(app, [command, "klinikaa"])
    assert wrong.exit_code == 1
    assert "one that ships: bank, klinika, kommunal, xatirlatma" in wrong.stderr


def test_compile_prints_what_pipecat_loads_and_names_the_handlers(runner: CliRunner) -> None:
    result = runner.invoke(app, ["compile", _KLINIKA])
    assert result.exit_code == 0
    assert FlowConfig.from_yaml(result.stdout).initial_node == "menu"
    assert "set_phone" in result.stderr
    as_json = runner.invoke(app, ["compile", "--json", _KLINIKA])
    assert json.loads(as_json.stdout) == yaml.safe_load(result.stdout)


def test_the_schema_is_json(runner: CliRunner) -> None:
    assert json.loads(runner.invoke(app, ["schema"]).stdout)["title"] == "Flow"


def test_lint_of_a_folder_without_flows_is_no_success(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(app, ["lint", str(tmp_path)])
    assert result.exit_code == 1
    assert "no *.flow.yaml" in result.output


def test_graph_is_drawn_as_svg_to_the_terminal_or_a_file(runner: CliRunner, flow: Path, tmp_path: Path) -> None:
    drawn = runner.invoke(app, ["graph", str(flow), "--svg"]).stdout
    assert drawn.startswith("<svg")
    for name, beginning in (("a.svg", "<svg"), ("a.mmd", "flowchart TD")):
        assert runner.invoke(app, ["graph", str(flow), "-o", str(tmp_path / name)]).exit_code == 0
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(beginning)
