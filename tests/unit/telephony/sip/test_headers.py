"""Header fields."""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.sip.headers import MAX_HEADERS, Headers, format_headers, parse_headers


def test_compact_forms_are_spelt_out_and_names_compare_without_case() -> None:
    headers = parse_headers("v: a\r\nF : b\r\nk: c\r\nX-Own: d")

    assert headers.items == (("Via", "a"), ("From", "b"), ("Supported", "c"), ("X-Own", "d"))
    assert (headers.first("via"), headers.first("x-OWN"), headers.first("To")) == ("a", "d", None)


def test_a_folded_line_is_one_value() -> None:
    headers = parse_headers("Subject: one\r\n  two\r\n\tthree\r\nTo: x")

    assert headers.first("Subject") == "one two three"
    assert headers.first("To") == "x"


def test_a_header_may_have_no_value() -> None:
    assert parse_headers("s :").items == (("Subject", ""),)


def test_listed_values_are_split_over_all_lines() -> None:
    headers = parse_headers('Route: <sip:a,b>, <sip:c>\r\nTo: x\r\nroute: "d,e" <sip:f>')

    assert headers.listed("Route") == ["<sip:a,b>", "<sip:c>", '"d,e" <sip:f>']
    assert headers.all("Route") == ["<sip:a,b>, <sip:c>", '"d,e" <sip:f>']


def test_a_header_that_may_come_once_may_not_come_twice() -> None:
    headers = parse_headers("Call-ID: a\r\nTo: b\r\ni: c")

    assert headers.only("To") == "b"
    assert headers.only("From") is None
    with pytest.raises(SipParseError, match="Call-ID"):
        headers.only("Call-ID")


def test_the_first_listed_value_can_be_replaced() -> None:
    headers = parse_headers("Max-Forwards: 1\r\nVia: a, b\r\nTo: x\r\nVia: c")

    assert headers.with_first_listed("Via", "A").items == (
        ("Max-Forwards", "1"),
        ("Via", "A"),
        ("Via", "b"),
        ("Via", "c"),
        ("To", "x"),
    )


def test_headers_can_be_left_out_and_added() -> None:
    headers = parse_headers("X-A: 1\r\nX-B: 2").without("x-b", "X-A").plus(("X-C", "3"))

    assert headers == Headers((("X-C", "3"),))
    assert format_headers(headers.items) == "X-C: 3\r\n"


def test_no_lines_are_no_headers() -> None:
    assert parse_headers("") == Headers()


@pytest.mark.parametrize("text", ["no colon", ": x", "a b: c", "A: b\nC: d", "A: b\rC: d", "A: \x00", "To: a\x7f"])
def test_a_malformed_line_is_an_error(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_headers(text)


def test_there_is_a_limit_to_headers() -> None:
    assert len(parse_headers("\r\n".join(["A: b"] * MAX_HEADERS)).items) == MAX_HEADERS
    with pytest.raises(SipParseError):
        parse_headers("\r\n".join(["A: b"] * (MAX_HEADERS + 1)))


def test_a_control_character_may_be_escaped_but_no_line_end() -> None:
    assert parse_headers('To: "BEL\\\x07" <sip:a@b>').first("To") == '"BEL\\\x07" <sip:a@b>'

    for text in ('To: "\x07"', 'To: "\\\r"', 'To: "\\\n"'):
        with pytest.raises(SipParseError, match="control"):
            parse_headers(text)
