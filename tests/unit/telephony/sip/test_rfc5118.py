"""The torture messages of RFC 5118: SIP with IPv6 addresses in every place."""

from __future__ import annotations

import pytest

from telephony.sip.message import Request, parse_message
from telephony.sip.sdp import parse_sdp
from telephony.sip.uri import SipUri
from tests.unit.telephony.sip.torture import DATA, reaction

# by name: its section, the answer of an endpoint whose media is IPv6, the same where its media is IPv4)
ANSWERS: dict[str, tuple[str, int, int]] = {
    "ipv6-good": ("4.1", 405, 405),  # REGISTER, and we are no registrar
    "ipv6-bad": ("4.2", 400, 400),
    "port-ambiguous": ("4.3", 405, 405),
    "port-unambiguous": ("4.4", 405, 405),
    "via-received-param-with-delim": ("4.5", 481, 481),
    "via-received-param-no-delim": ("4.5", 200, 200),
    "ipv6-in-sdp": ("4.6", 488, 488),  # G.726 only
    "mult-ip-in-header": ("4.7", 481, 481),
    "mult-ip-in-sdp": ("4.8", 488, 180),  # its audio is to go to an IPv4 address
    "ipv4-mapped-ipv6": ("4.9", 488, 488),  # G.726 only
    "ipv6-bug-abnf-3-colons": ("4.10", 200, 200),
    "ipv6-correct-abnf-2-colons": ("4.10", 200, 200),
}


def read(name: str) -> bytes:
    return (DATA / "rfc5118" / f"{name}.dat").read_bytes()


def parsed(name: str) -> Request:
    message = parse_message(read(name))
    assert isinstance(message, Request)
    return message


def test_no_message_of_the_rfc_is_left_out() -> None:
    assert {path.stem for path in (DATA / "rfc5118").glob("*.dat")} == ANSWERS.keys()


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_the_one_that_the_rfc_asks_for(name: str) -> None:
    _, with_ipv6, with_ipv4 = ANSWERS[name]

    assert reaction(read(name), address_type="IP6")[0] == with_ipv6
    assert reaction(read(name), address_type="IP4")[0] == with_ipv4


@pytest.mark.parametrize(
    ("name", "host", "port"),
    [("port-ambiguous", "[2001:db8::10:5070]", None), ("port-unambiguous", "[2001:db8::10]", 5070)],
)
def test_a_port_stands_outside_of_the_brackets(name: str, host: str, port: int | None) -> None:
    uri = parsed(name).uri

    assert isinstance(uri, SipUri)
    assert (uri.host, uri.port) == (host, port)


@pytest.mark.parametrize("name", ["via-received-param-with-delim", "via-received-param-no-delim"])
def test_received_is_read_with_brackets_and_without(name: str) -> None:
    received = dict(parsed(name).via.parameters)["received"] or ""

    assert received.strip("[]") == "2001:db8::9:255"


def test_a_mapped_address_is_read_in_headers_and_in_sdp() -> None:
    invite = parsed("ipv4-mapped-ipv6")
    connection = parse_sdp(invite.body).connection

    assert (invite.via.host, invite.via.port) == ("[::ffff:192.0.2.10]", 19823)
    assert connection is not None
    assert connection.is_unicast_address
