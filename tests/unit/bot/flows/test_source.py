from __future__ import annotations

import pytest

from bot.flows.problems import FlowFileError
from bot.flows.source import MAX_BYTES, parse_document


def test_the_traps_of_yaml_1_1_are_text() -> None:
    data = parse_document(
        "on: 1\nno: yes\ntime: 14:35\nday: 2026-11-22\nkey: 012\nbig: 1_000\nhex: 0x1F\n", file="f"
    ).data
    assert data == {
        "on": 1,
        "no": "yes",
        "time": "14:35",
        "day": "2026-11-22",
        "key": "012",
        "big": "1_000",
        "hex": "0x1F",
    }


def test_only_plain_numbers_true_false_and_null_are_not_text() -> None:
    data = parse_document('a: 5\nb: -2.5\nc: true\nd: null\ne: "true"\nf: "5"\ng: [~, x]\n', file="f").data
    assert data == {"a": 5, "b": -2.5, "c": True, "d": None, "e": "true", "f": "5", "g": [None, "x"]}


def test_every_value_has_its_line_and_what_is_missing_that_of_its_parent() -> None:
    document = parse_document("a: 1\nb:\n  c:\n    - x\n    - y\n", file="f")
    assert document.line_of(("a",)) == 1
    assert document.line_of(("b", "c", 1)) == 5
    assert document.line_of(("b", "c", 7, "z")) == 3
    assert document.line_of(("nothing",)) == 1


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: 1\na: 2\n", "duplicate-key", 2),
        ("a: &x 1\nb: *x\n", "alias", 1),
        ("a: !!python/name:os.system x\n", "alias", 1),
        ("a: !include b.yaml\n", "alias", 1),
        ("- a\n", "not-a-mapping", 1),
        ("", "not-a-mapping", 1),
        ("a: [1\n", "yaml", 2),
        ("a: 1\n b: 2\n", "yaml", 2),
        ("a: 1\n---\nb: 2\n", "yaml", 2),
        ("a: \x07\n", "yaml", 1),
        ("? [a]\n: b\n", "key", 1),
        ("a: " + "[" * 30 + "]" * 30, "too-deep", 1),
        ("a: " + "x" * MAX_BYTES, "too-large", 1),
    ],
)
def test_what_the_format_does_not_allow_is_refused_with_its_line(text: str, code: str, line: int) -> None:
    with pytest.raises(FlowFileError) as caught:
        parse_document(text, file="f.yaml")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.file) == (code, line, "f.yaml")
    assert problem.remedy
    assert str(caught.value).startswith(f"f.yaml:{line}: error: ")
