"""The basic rules: lists, parameters, quoted strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import SipParseError
from telephony.sip.grammar import (
    find_parameter,
    format_parameters,
    parse_number,
    parse_parameters,
    printable,
    quote,
    split_list,
    split_quoted,
    unquote,
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a, b ,c", ["a", "b", "c"]),
        ("", []),
        (",,a,,", ["a"]),
        ('"a,b", c', ['"a,b"', "c"]),
        ('"a\\",b", c', ['"a\\",b"', "c"]),
        ("<sip:a,b>, <sip:c>", ["<sip:a,b>", "<sip:c>"]),
    ],
)
def test_a_list_is_split_outside_quotes_and_angle_brackets(text: str, parts: list[str]) -> None:
    assert split_list(text) == parts


@pytest.mark.parametrize("text", ['"open', "<open", 'a, "b\\"', '"a"<b'])
def test_a_quote_or_bracket_that_is_not_closed_is_an_error(text: str) -> None:
    with pytest.raises(SipParseError):
        split_list(text)


def test_parameters_keep_their_values_as_written_and_lower_their_names() -> None:
    parameters = parse_parameters('; Tag = AbC ;lr; x="a;b"')

    assert parameters == (("tag", "AbC"), ("lr", None), ("x", '"a;b"'))
    assert format_parameters(parameters) == ';tag=AbC;lr;x="a;b"'


def test_a_parameter_is_found_by_its_name() -> None:
    parameters = parse_parameters(";lr;a=1;a=2")

    assert [find_parameter(parameters, name) for name in ("lr", "a", "b")] == ["", "1", None]


@pytest.mark.parametrize("text", [";=x", ";a b=c", ";ü=1"])
def test_a_parameter_without_a_proper_name_is_an_error(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_parameters(text)


@pytest.mark.parametrize("text", [";;", ";a=1; ;b", ";;a"])
def test_an_empty_parameter_before_another_is_an_error(text: str) -> None:
    with pytest.raises(SipParseError, match="empty"):
        parse_parameters(text)


def test_one_semicolon_too_many_at_the_end_harms_nobody() -> None:
    assert parse_parameters(";a=1;") == (("a", "1"),)


@given(st.text())
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    assert unquote(quote(text)) == text
    assert split_quoted(quote(text) + " rest") == (text, " rest")


def test_text_without_quotes_is_not_touched_by_unquoting() -> None:
    assert unquote('plain "not whole') == 'plain "not whole'


def test_a_quoted_string_that_is_not_closed_cannot_be_cut_off() -> None:
    with pytest.raises(SipParseError):
        split_quoted('"open')


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "71", "٣", "1" * 11])  # Arabic three is a digit to Python
def test_a_number_is_ascii_digits_within_its_limit(text: str) -> None:
    with pytest.raises(SipParseError, match="Max-Forwards"):
        parse_number(text, name="Max-Forwards", maximum=70)


def test_a_number_may_have_leading_zeros() -> None:
    assert parse_number("0068", name="Max-Forwards", maximum=70) == 68


def test_text_from_the_wire_is_made_safe_for_others() -> None:
    latin_1 = b"\xd6zg\xfcr\x00".decode("utf-8", "surrogateescape")

    assert printable(latin_1) == "\ufffdzg\ufffdr\ufffd"
    assert printable("Özgür") == "Özgür"


@given(st.text(alphabet='",<>\\a ;'))
def test_splitting_ends_in_parts_or_in_an_error(text: str) -> None:
    try:
        parts = split_list(text)
    except SipParseError:
        parts = []
    assert all(parts)
