from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.flows.loader import LIBRARY, load_flow
from bot.flows.problems import FlowFileError
from bot.flows.testing import Outcome, load_suite, run_suite
from tests.fakes.flows import flow_of

_FLOW = flow_of("""\
variables: {operator: "sip:1@pbx.example"}
slots: {n: {ask: "Neçə?", type: number}}
tools: {t: {http: {method: GET, url: "https://example.com/"}, save: {id: $.id}, on: {ok: chat, error: go}}}
start: menu
states:
  menu: {say: Buyurun., menu: [{intent: book, dtmf: "1", then: n}]}
  n: {collect: n, then: t}
  t: {call: t}
  chat: {say: "Nömrə {{ id }}.", llm: {task: Talk.}, then: end}
  go: {transfer: {to: "{{ operator }}", on_fail: end}}
""")

_SUITE = """\
name: suite
scenarios:
  - name: everything that can be expected
    at: "2026-11-22 12:00"
    variables: {operator: "sip:2@pbx.example"}
    mock: {t: [{status: ok, body: {id: A1}}]}
    llm: [{text: Bəli., done: true}]
    greeting: [{event: response, text_contains: Buyurun, text_excludes: Neçə, state: menu}]
    turns:
      - {dtmf: 1, expect: [{state: n, visited: n}]}
      - {user: beş, expect: [{state: chat, slots: {n: 5, id: A1}, visited: [t, chat], text_contains: Nömrə A1}]}
      - {user: sual, expect: [{ended: [hangup, normal]}]}
  - name: silence, understanding and a transfer that fails
    understand: {mənə növbə: book}
    turns:
      - {silence: true, expect: [{text_contains: Eşitmədim}]}
      - {user: mənə növbə, expect: [{state: n}]}
      - {user: beş, expect: [{ended: [transfer, "sip:1@pbx.example"]}]}
      - {transfer_failed: true, expect: [{ended: [hangup, normal]}]}
"""


def _run(text: str, folder: Path) -> list[Outcome]:
    path = folder / "a.test.yaml"
    path.write_text(text, encoding="utf-8")
    return run_suite(_FLOW, *load_suite(path))


def test_the_examples_of_the_page_pass(tmp_path: Path) -> None:
    page = (Path(__file__).parents[4] / "docs" / "flows.md").read_text(encoding="utf-8")
    clinic, reminder = re.findall(r"```yaml\n(scenarios:.*?)```", page, re.DOTALL)
    for name, text in (("klinika", clinic), ("xatirlatma", reminder)):
        path = tmp_path / f"{name}.test.yaml"
        path.write_text(text, encoding="utf-8")
        outcomes = run_suite(load_flow(LIBRARY / f"{name}.flow.yaml"), *load_suite(path))
        assert outcomes
        assert [outcome.failures for outcome in outcomes] == [()] * len(outcomes)


def test_what_is_expected_and_comes_passes(tmp_path: Path) -> None:
    outcomes = _run(_SUITE, tmp_path)
    assert [(outcome.name, outcome.line) for outcome in outcomes] == [
        ("everything that can be expected", 3),
        ("silence, understanding and a transfer that fails", 13),
    ]
    assert [outcome.failures for outcome in outcomes] == [(), ()]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (
            "text_contains: Buyurun",
            "text_contains: Salamlar",
            8,
            "expected to hear 'Salamlar', heard 'Salam, bu robotdur. Buyurun.'",
        ),
        ("text_excludes: Neçə", "text_excludes: Buyurun", 8, "expected not to hear 'Buyurun', heard"),
        ("state: menu}]", "state: n}]", 8, "expected the state n, is in menu"),
        ("visited: n}", "visited: end}", 10, "expected to visit end, visited n"),
        ("{n: 5, id: A1}", "{n: 6, id: A1}", 11, "expected n = '6', is '5'"),
        ("{n: 5, id: A1}", "{m: 6}", 11, "expected m = '6', is None"),
        (
            "ended: [hangup, normal]}]}\n  - name",
            "ended: [hangup, error]}]}\n  - name",
            12,
            "expected the end ['hangup', 'error']",
        ),
        ("text_contains: Eşitmədim}", "ended: [hangup, normal], visited: [menu]}", 16, "is going on"),
    ],
)
def test_what_is_expected_and_does_not_come_fails_at_its_line(
    old: str, new: str, line: int, message: str, tmp_path: Path
) -> None:
    assert old in _SUITE
    failures = [failure for outcome in _run(_SUITE.replace(old, new, 1), tmp_path) for failure in outcome.failures]
    assert any(failure.line == line and message in failure.message for failure in failures), failures


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("user: beş", "user: beş, dtmf: 1"),
        ("user: beş, ", ""),
        ("dtmf: 1", "dtmf: x"),
        ("event: response", "event: image"),
        ("greeting", "greetings"),
    ],
)
def test_a_test_file_with_mistakes_is_refused(old: str, new: str, tmp_path: Path) -> None:
    with pytest.raises(FlowFileError) as caught:
        _run(_SUITE.replace(old, new, 1), tmp_path)
    assert all(problem.line > 1 for problem in caught.value.problems)


def test_time_that_is_let_pass_after_the_end_changes_nothing(tmp_path: Path) -> None:
    text = _SUITE.replace(
        "      - {transfer_failed: true, expect: [{ended: [hangup, normal]}]}\n",
        "      - {transfer_failed: true}\n      - {silence: true, expect: [{ended: [hangup, normal]}]}\n",
    )
    assert [outcome.failures for outcome in _run(text, tmp_path)] == [(), ()]
