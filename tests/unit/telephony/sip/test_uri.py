"""SIP URIs."""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.sip.uri import OtherUri, SipUri, bracketed, parse_host_port, parse_uri, transport_of, unbracketed


def test_a_uri_comes_apart() -> None:
    uri = parse_uri("sips:+994%2012:secret@Example.COM:5061;Transport=TCP;lr?Subject=x")

    assert uri == SipUri(
        "example.com",
        "+994%2012:secret",
        5061,
        "sips",
        (("transport", "TCP"), ("lr", None)),
        "Subject=x",
    )
    assert isinstance(uri, SipUri)
    assert uri.user == "+994 12"
    assert (uri.parameter("transport"), uri.parameter("lr"), uri.parameter("ttl")) == ("TCP", "", None)


@pytest.mark.parametrize(
    "text",
    [
        "sip:example.com",
        "sip:a@example.com:5060",
        "sip:user;par=u%40example.net@example.com",  # RFC 4475 "semiuri"
        "sip:a?b@[2001:db8::1]:5070;lr",
        "sip:a@10.0.0.1;x=1?h=v",
        "tel:+994501234567;phone-context=az",
    ],
)
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_uri(text)) == text


def test_another_scheme_is_kept_whole() -> None:
    assert parse_uri("TEL:+994501234567") == OtherUri("tel", "+994501234567")


def test_an_empty_parameter_is_left_out() -> None:
    assert str(parse_uri("sip:a@b;;lr")) == "sip:a@b;lr"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "sip:",
        ":a",
        "1sip:a@b",
        "sip:@b",
        "sip:a@",
        "sip:a@b c",
        "sip:a@b:port",
        "sip:a@b:70000",
        "sip:a@b;=x",
        "sip:a@[::1",
        "sip:a@b<c>",
        "sip:a@b\x00",
    ],
)
def test_a_malformed_uri_is_an_error(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_uri(text)


def test_hex_zero_in_a_user_is_not_shown() -> None:
    uri = parse_uri("sip:null-%00-null@example.com")  # RFC 4475 "escnull"

    assert isinstance(uri, SipUri)
    assert uri.user == "null-\ufffd-null"
    assert str(uri) == "sip:null-%00-null@example.com"


def test_a_port_may_be_left_empty() -> None:
    assert parse_host_port("Example.com:") == ("example.com", None)


def test_ipv6_gets_and_loses_its_brackets() -> None:
    assert (bracketed("::1"), bracketed("[::1]"), bracketed("10.0.0.1")) == ("[::1]", "[::1]", "10.0.0.1")
    assert unbracketed("[::1]") == "::1"


def test_a_host_that_is_none_is_not_written() -> None:
    with pytest.raises(SipParseError):
        bracketed("a b")


@pytest.mark.parametrize(
    ("text", "transport"),
    [
        ("sip:a@b", "udp"),
        ("sip:a@b;transport=TCP", "tcp"),
        ("sip:a@b;transport=tls", "tls"),
        ("sips:a@b", "tls"),
        ("sips:a@b;transport=tcp", "tls"),
        ("sip:a@b;transport=sctp", "udp"),
    ],
)
def test_a_uri_says_over_what_it_is_reached(text: str, transport: str) -> None:
    uri = parse_uri(text)

    assert isinstance(uri, SipUri)
    assert transport_of(uri) == transport
    assert transport_of(SipUri("b"), "tls") == "tls"
