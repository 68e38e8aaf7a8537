from __future__ import annotations

import json

import pytest

from bot.errors import LlmError
from bot.flows.actions import LlmCall
from bot.llm.completion import MOST_CHARS, Completion


def _line(**delta: object) -> str:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}"


def _call(index: int, name: str | None, arguments: str) -> str:
    return _line(tool_calls=[{"index": index, "function": {"name": name, "arguments": arguments}}])


def test_text_comes_out_in_clauses_and_a_rest() -> None:
    completion = Completion()
    assert completion.feed(_line(role="assistant")) == []
    assert not completion.begun
    assert completion.feed(_line(content="Salam, buyurun, ")) == ["Salam, buyurun,"]
    assert completion.begun
    completion.feed(_line(content="eşidirəm"))
    completion.feed("data: [DONE]")
    assert (completion.is_over, completion.rest(), completion.calls()) == (True, "eşidirəm", ())


def test_functions_are_put_together_from_their_pieces() -> None:
    completion = Completion()
    for line in (_call(1, "set_n", '{"val'), _call(0, "finish", ""), _call(1, None, 'ue": 5}')):
        completion.feed(line)
    assert completion.begun
    assert completion.calls() == (LlmCall("finish"), LlmCall("set_n", "5"))


@pytest.mark.parametrize("places", [({"index": 0}, {"index": 0}), ({}, {}), ({"index": None}, {"index": None})])
def test_whole_functions_without_a_place_of_their_own_are_told_apart(places: tuple[dict[str, None], ...]) -> None:
    completion = Completion()
    calls = [
        {"id": "a", "function": {"name": "set_n", "arguments": '{"value": "5"}'}, **places[0]},
        {"id": "b", "function": {"name": "finish", "arguments": "{}"}, **places[1]},
    ]
    completion.feed(_line(tool_calls=calls))
    assert completion.calls() == (LlmCall("set_n", "5"), LlmCall("finish"))


def test_pieces_with_an_id_each_or_without_a_place_are_of_the_function_that_was_named_last() -> None:
    for place in ({"index": 0}, {}):
        completion = Completion()
        completion.feed(_line(tool_calls=[{"id": "a", "function": {"name": "set_n", "arguments": '{"val'}, **place}]))
        completion.feed(_line(tool_calls=[{"id": "b", "function": {"arguments": 'ue": 5}'}, **place}]))
        assert completion.calls() == (LlmCall("set_n", "5"),)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ('{"value": "beş"}', "beş"),
        ('{"value": 2.5}', "2.5"),
        ('{"value": true}', "true"),
        ('{"value": null}', ""),
        ('{"value": {"a": 1}}', ""),
        ('{"state": "end"}', ""),
        ("[1]", ""),
        ('{"value": "\\ud83d"}', "?"),  # half of a pair, which no record could be written with
        ('{"value": ', ""),
        ("[" * 100_000, ""),
    ],
)
def test_only_a_plain_value_is_read(arguments: str, value: str) -> None:
    completion = Completion()
    completion.feed(_call(0, "set_n", arguments))
    assert completion.calls() == (LlmCall("set_n", value),)


def test_what_the_model_did_not_understand_is_no_function() -> None:
    completion = Completion()
    completion.feed(_call(0, "not_understood", "{}"))
    assert completion.calls() == ()


def test_an_answer_without_end_is_cut_and_functions_without_number_are_not_kept() -> None:
    completion = Completion()
    clauses: list[str] = []
    while not completion.is_over:
        clauses += completion.feed(_line(content="Bu bir cümlədir. "))
    assert len(" ".join(clauses)) <= MOST_CHARS
    for index in range(100):
        completion.feed(_call(index, "set_n", "{}"))
    assert len(completion.calls()) == 8


@pytest.mark.parametrize("line", ["", ": ping", "event: x", 'data: {"choices": []}', 'data: {"usage": {}}'])
def test_lines_without_text_are_passed_over(line: str) -> None:
    assert Completion().feed(line) == []


@pytest.mark.parametrize(
    "line", ["data: {", "data: [1]", 'data: {"choices": "x"}', 'data: {"error": {"message": "x"}}']
)
def test_what_is_no_completion_is_the_servers_fault(line: str) -> None:
    with pytest.raises(LlmError, match="server at"):
        Completion().feed(line)


def test_what_the_model_thinks_aloud_is_not_said() -> None:
    completion = Completion()
    said = [
        clause
        for piece in ("<thi", "nk>Hm. ", "So. </think>", "Bəli.")
        for clause in completion.feed(_line(content=piece))
    ]
    assert (said, completion.rest()) == ([], "Bəli.")
