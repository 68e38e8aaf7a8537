"""Where a SIP URI leads: RFC 3263 section 4, with DNS played by a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from telephony.sip.flow import Flow
from telephony.sip.location import MAX_SERVERS, NaptrRecord, Question, Record, locate
from telephony.sip.sdp import AddressType
from telephony.sip.srv_order import SrvRecord
from telephony.sip.uri import SipUri, parse_uri

Zone = Mapping[tuple[str, str], Sequence[Record]]

ADDRESSES: Zone = {("a.example.az", "A"): ["192.0.2.1"], ("b.example.az", "A"): ["192.0.2.2", "192.0.2.3"]}
UDP, TCP, TLS = "_sip._udp.example.az", "_sip._tcp.example.az", "_sips._tcp.example.az"


def find(
    text: str, zone: Zone, *, family: AddressType = "IP4", services: bool = True
) -> tuple[tuple[Flow, ...], list[tuple[str, str]]]:
    """Give the servers, and what was asked for."""
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    asked: list[tuple[str, str]] = []
    locating = locate(uri, family=family, services=services, fraction=lambda: 0.0)
    try:
        questions: Sequence[Question] = next(locating)
        while True:
            asked += [(question.name, question.kind) for question in questions]
            questions = locating.send([zone.get((question.name, question.kind), []) for question in questions])
    except StopIteration as done:
        return done.value, asked


@pytest.mark.parametrize(
    ("uri", "flow"),
    [
        ("sip:192.0.2.1", Flow("udp", "192.0.2.1", 5060)),
        ("sip:192.0.2.1:5070;transport=tcp", Flow("tcp", "192.0.2.1", 5070)),
        ("sips:[2001:db8::1]", Flow("tls", "2001:db8::1", 5061)),
    ],
)
def test_an_address_needs_no_looking_up(uri: str, flow: Flow) -> None:
    assert find(uri, {}) == ((flow,), [])


def test_a_port_is_a_choice_already_so_only_addresses_are_asked_for() -> None:
    flows, asked = find("sip:b.example.az:5080", ADDRESSES)

    assert flows == (Flow("udp", "192.0.2.2", 5080), Flow("udp", "192.0.2.3", 5080))
    assert asked == [("b.example.az", "A")]


@pytest.mark.parametrize(("uri", "services"), [("sip:pbx", True), ("sip:a.example.az", False)])
def test_a_name_of_this_network_and_a_service_told_not_to_ask_have_addresses_alone(uri: str, services: bool) -> None:
    _, asked = find(uri, ADDRESSES, services=services)

    assert [kind for _, kind in asked] == ["A"]


def test_naptr_says_which_transports_a_domain_prefers() -> None:
    zone: Zone = {
        **ADDRESSES,
        ("example.az", "NAPTR"): [
            NaptrRecord(50, 60, "s", "SIP+D2U", UDP),
            NaptrRecord(50, 50, "S", "sips+d2t", TLS),
            NaptrRecord(10, 1, "s", "E2U+sip", "enum.example.az"),
            NaptrRecord(10, 1, "u", "SIP+D2T", TCP),
        ],
        (TLS, "SRV"): [SrvRecord(1, 0, 5061, "a.example.az")],
        (UDP, "SRV"): [SrvRecord(1, 0, 5062, "b.example.az")],
    }
    flows, asked = find("sip:994@example.az", zone)

    # The certificate has to name the domain that was dialled, not the host it led to.
    assert flows[0] == Flow("tls", "192.0.2.1", 5061, server_name="example.az")
    assert [(flow.transport, flow.host) for flow in flows[1:]] == [("udp", "192.0.2.2"), ("udp", "192.0.2.3")]
    assert asked[1:3] == [(TLS, "SRV"), (UDP, "SRV")]


def test_sips_goes_by_tls_alone() -> None:
    zone: Zone = {
        **ADDRESSES,
        ("example.az", "NAPTR"): [NaptrRecord(1, 1, "s", "SIP+D2U", UDP), NaptrRecord(2, 1, "s", "SIPS+D2T", TLS)],
        (TLS, "SRV"): [SrvRecord(1, 0, 5071, "a.example.az")],
    }

    assert find("sips:example.az", zone)[0] == (Flow("tls", "192.0.2.1", 5071, server_name="example.az"),)
    without = {key: records for key, records in zone.items() if key[1] != "NAPTR"}
    assert find("sips:example.az", without)[0] == (Flow("tls", "192.0.2.1", 5071, server_name="example.az"),)


def test_without_naptr_the_services_of_our_transports_are_asked_for() -> None:
    zone: Zone = {**ADDRESSES, (TCP, "SRV"): [SrvRecord(1, 0, 5063, "a.example.az")]}
    flows, asked = find("sip:example.az", zone)

    assert flows == (Flow("tcp", "192.0.2.1", 5063),)
    assert asked[:3] == [("example.az", "NAPTR"), (UDP, "SRV"), (TCP, "SRV")]


def test_a_transport_that_is_named_asks_for_its_own_service() -> None:
    zone: Zone = {**ADDRESSES, (TLS, "SRV"): [SrvRecord(1, 0, 5061, "a.example.az")]}
    flows, asked = find("sip:example.az;transport=tls", zone)

    assert flows == (Flow("tls", "192.0.2.1", 5061, server_name="example.az"),)
    assert asked[0] == (TLS, "SRV")


def test_servers_come_by_priority_and_each_with_all_its_addresses() -> None:
    zone: Zone = {
        **ADDRESSES,
        (UDP, "SRV"): [SrvRecord(20, 5, 5060, "a.example.az"), SrvRecord(10, 5, 5060, "b.example.az")],
    }

    hosts = [flow.host for flow in find("sip:example.az;transport=udp", zone)[0]]
    assert hosts == ["192.0.2.2", "192.0.2.3", "192.0.2.1"]


def test_a_domain_without_services_is_its_own_server() -> None:
    assert find("sip:a.example.az", ADDRESSES)[0] == (Flow("udp", "192.0.2.1", 5060),)
    assert find("sip:nowhere.az", {})[0] == ()


def test_a_service_that_is_decidedly_not_there_is_not_looked_for_elsewhere() -> None:
    zone: Zone = {("example.az", "A"): ["192.0.2.9"], (UDP, "SRV"): [SrvRecord(0, 0, 0, "")]}

    assert find("sip:example.az;transport=udp", zone)[0] == ()


def test_ipv6_is_asked_for_where_that_is_what_we_speak() -> None:
    flows, asked = find("sip:pbx", {("pbx", "AAAA"): ["2001:db8::1"]}, family="IP6")

    assert (flows, asked) == ((Flow("udp", "2001:db8::1", 5060),), [("pbx", "AAAA")])


def test_what_is_no_record_of_its_kind_is_passed_over() -> None:
    zone: Zone = {
        **ADDRESSES,
        ("example.az", "NAPTR"): ["x"],
        (UDP, "SRV"): ["x"],
        ("example.az", "A"): [SrvRecord(1, 1, 1, "x")],
    }

    assert find("sip:example.az", zone)[0] == ()


def test_only_so_many_servers_are_looked_at() -> None:
    many = [SrvRecord(n, 0, 5060, f"h{n}.example.az") for n in range(500)]
    zone: Zone = {(UDP, "SRV"): many, **{(f"h{n}.example.az", "A"): [f"192.0.2.{n % 250}"] for n in range(500)}}
    flows, asked = find("sip:example.az;transport=udp", zone)

    assert (len(flows), len(asked)) == (MAX_SERVERS, MAX_SERVERS + 1)
