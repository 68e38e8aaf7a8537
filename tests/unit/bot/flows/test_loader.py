from __future__ import annotations

from pathlib import Path

import pytest

from bot.flows.loader import LIBRARY, load_flow, parse_flow, read_flow
from bot.flows.problems import FlowFileError
from tests.fakes.flows import ENDS, FRAME

_FLOW = f"{FRAME}start: end\nstates:\n{ENDS}"


def test_a_flow_file_becomes_a_flow(tmp_path: Path) -> None:
    path = tmp_path / "a.flow.yaml"
    path.write_text(_FLOW, encoding="utf-8")
    assert load_flow(path).id == "test"


def test_all_mistakes_are_told_at_once_with_file_and_line() -> None:
    text = _FLOW.replace("hangup: normal", "hangup: never").replace("version: 1", "version: one")
    with pytest.raises(FlowFileError) as caught:
        parse_flow(text, file="a.yaml")
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [("a.yaml", 1), ("a.yaml", 16)]
    assert "states.end.hangup" in str(caught.value)


def test_warnings_do_not_keep_a_flow_from_being_loaded() -> None:
    flow, problems = read_flow(_FLOW, file="a.yaml")
    assert flow is not None
    assert {problem.code for problem in problems} == {"unused", "unreachable"}
    assert parse_flow(_FLOW, file="a.yaml") == flow


def test_a_file_that_cannot_be_read_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(FlowFileError, match="cannot be read"):
        load_flow(tmp_path / "none.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes("id: ə".encode("utf-16"))
    with pytest.raises(FlowFileError, match="not UTF-8"):
        load_flow(path)


def test_an_include_adds_what_the_flow_has_not() -> None:
    text = f"include: [common]\n{_FLOW}"
    flow, problems = read_flow(text, file="a.yaml")
    assert flow is not None, problems
    assert flow.intents["wait"].repeat
    assert flow.intents["again"].dtmf == "9"  # the flow's own comes first
    assert flow.defaults.no_input is not None
    assert flow.defaults.on_error is not None
    assert flow.defaults.on_error.text == "Texniki nasazlıq var."


def test_a_flow_without_sections_takes_those_of_the_include() -> None:
    flow, problems = read_flow(
        "include: [common]\nversion: 1\nid: a\nstart: a\nvariables: null\nstates: {a: {hangup: normal}}\n",
        file="a.yaml",
    )
    assert flow is not None, problems
    assert set(flow.intents) == {"again", "greeting", "wait"}


@pytest.mark.parametrize("name", ["../klinika.flow", "/etc/passwd", "none", "5"])
def test_only_files_of_the_library_can_be_included(name: str) -> None:
    flow, problems = read_flow(f'include: ["{name}"]\n{_FLOW}', file="a.yaml")
    assert flow is None
    assert [problem.code for problem in problems] == ["unknown-include"]
    assert "common" in problems[0].remedy


def test_an_include_that_is_no_list_is_a_mistake_like_another() -> None:
    flow, problems = read_flow(f"include: common\n{_FLOW}", file="a.yaml")
    assert flow is None
    assert problems[0].line == 1


def test_a_section_that_is_no_mapping_is_told_with_and_without_an_include() -> None:
    for head in ("", "include: [common]\n"):
        flow, problems = read_flow(head + _FLOW.replace("start: end", "slots: 5\nstart: end"), file="a.yaml")
        assert flow is None
        assert any("slots" in problem.message for problem in problems)


def test_the_library_is_shipped_with_the_package() -> None:
    assert (LIBRARY / "klinika.flow.yaml").is_file()
