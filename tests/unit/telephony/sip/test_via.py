"""Via."""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.sip.via import parse_via


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("SIP/2.0/UDP pc.Example.com;branch=z9hG4bK1", "SIP/2.0/UDP pc.example.com;branch=z9hG4bK1"),
        ("SIP  /   2.0 /udp    192.0.2.2:5070 ; branch=x", "SIP/2.0/UDP 192.0.2.2:5070;branch=x"),
        ("SIP / 2.0 / TCP  spindle.example.com  : 5061 ;rport", "SIP/2.0/TCP spindle.example.com:5061;rport"),
        ("sip/2.0/TLS [2001:db8::9]:5061", "SIP/2.0/TLS [2001:db8::9]:5061"),
    ],
)
def test_a_via_is_read_and_written(text: str, written: str) -> None:
    via = parse_via(text)

    assert str(via) == written
    assert parse_via(written) == via


@pytest.mark.parametrize("text", ["", "SIP/2.0/UDP", "SIP/3.0/UDP a", "HTTP/2.0/UDP a", "SIP/2.0/UDP a b", "UDP a"])
def test_a_malformed_via_is_an_error(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_via(text)


def test_a_branch_may_be_missing() -> None:
    assert parse_via("SIP/2.0/UDP a").branch == ""


def test_the_sender_is_noted_where_it_is_not_what_via_says() -> None:
    via = parse_via("SIP/2.0/UDP pc.example.com:5060;branch=b")

    assert str(via.received_from("192.0.2.1", 1234)) == "SIP/2.0/UDP pc.example.com:5060;branch=b;received=192.0.2.1"


def test_a_sender_that_knows_its_address_needs_no_note() -> None:
    via = parse_via("SIP/2.0/UDP [2001:db8::1];branch=b")

    assert via.received_from("2001:db8::1", 1234) == via


def test_a_sender_that_asks_gets_its_port_too() -> None:
    via = parse_via("SIP/2.0/UDP 10.0.0.1;rport;branch=b")

    noted = via.received_from("192.0.2.1", 1234)

    assert via.wants_rport
    assert str(noted) == "SIP/2.0/UDP 10.0.0.1;branch=b;received=192.0.2.1;rport=1234"


def test_what_a_sender_claims_to_be_received_from_is_not_believed() -> None:
    via = parse_via("SIP/2.0/UDP 192.0.2.1;received=203.0.113.5")

    assert str(via.received_from("192.0.2.1", 5060)) == "SIP/2.0/UDP 192.0.2.1"
