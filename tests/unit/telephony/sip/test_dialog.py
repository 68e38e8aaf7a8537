"""Dialogs: RFC 3261 section 12."""

from __future__ import annotations

import pytest

from telephony.errors import SipParseError
from telephony.sip.dialog import Dialog, DialogId, contact_of
from telephony.sip.flow import Flow
from telephony.sip.message import Request, Response
from telephony.sip.uri import SipUri
from telephony.sip.via import Via
from tests.unit.telephony.sip.messages import PEER, PEER_TCP, request, response

VIA = Via("UDP", "192.0.2.9", 5060, (("branch", "z9hG4bKours"),))


def of_caller(invite: Request | None = None, flow: Flow = PEER) -> Dialog:
    return Dialog.of_caller(invite or request(), local_tag="ours", flow=flow)


def of_callee(flow: Flow = PEER, **options: str) -> Dialog:
    invite = request(uri="sip:callee@192.0.2.1", from_tag="ours")
    return Dialog.of_callee(invite, response(invite, 200, **options), flow=flow)


def test_a_callers_dialog_is_seen_from_our_side() -> None:
    dialog = of_caller()

    bye = dialog.request("BYE", via=VIA, extra=(("Reason", "x"),))

    assert dialog.id == DialogId("call-1", "ours", "caller")
    assert (bye.method, str(bye.uri), bye.via) == ("BYE", "sip:caller@192.0.2.1:5060", VIA)
    assert (str(bye.from_), str(bye.to)) == ("<sip:bot@192.0.2.9>;tag=ours", "<sip:caller@192.0.2.1>;tag=caller")
    assert (bye.call_id, bye.cseq.number, bye.headers.first("Reason")) == ("call-1", 1, "x")
    assert dialog.request("INVITE", via=VIA, body=b"x").cseq.number == 2


def test_a_callees_dialog_is_seen_from_our_side() -> None:
    dialog = of_callee()
    invite = request(cseq=1)

    assert dialog.id == DialogId("call-1", "ours", "callee")
    assert dialog.target == SipUri("192.0.2.1", "callee", 5060)
    assert dialog.ack(invite, via=VIA).cseq.number == 1
    assert dialog.request("BYE", via=VIA).cseq.number == 2


def test_requests_of_the_peer_must_come_in_order() -> None:
    dialog = of_caller(request(cseq=5))

    assert [dialog.take_cseq(request("INFO", cseq=number)) for number in (5, 6, 6, 4, 9)] == [
        False,
        True,
        False,
        False,
        True,
    ]
    assert of_callee().take_cseq(request("BYE", cseq=0))


def test_the_route_set_is_the_record_route_in_the_right_order() -> None:
    routes = "Record-Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n"
    caller = of_caller(request(extra=routes)).request("BYE", via=VIA)
    callee = of_callee(extra=routes).request("BYE", via=VIA)

    assert caller.headers.all("Route") == ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]
    assert callee.headers.all("Route") == ["<sip:p2.example;lr>", "<sip:p1.example;lr>"]
    assert str(caller.uri) == "sip:caller@192.0.2.1:5060"


def test_a_strict_router_gets_itself_as_the_request_uri() -> None:
    dialog = of_caller(request(extra="Record-Route: <sip:strict.example?h=v>\r\nRecord-Route: <sip:p2.example;lr>\r\n"))

    bye = dialog.request("BYE", via=VIA)

    assert str(bye.uri) == "sip:strict.example"
    assert bye.headers.all("Route") == ["<sip:p2.example;lr>", "<sip:caller@192.0.2.1:5060>"]


def test_a_route_that_is_no_sip_uri_is_taken_as_loose() -> None:
    dialog = of_caller(request(extra="Record-Route: <tel:+994501234567>\r\n"))

    assert str(dialog.request("BYE", via=VIA).uri) == "sip:caller@192.0.2.1:5060"
    assert dialog.next_flow() == PEER


def test_a_contact_is_needed_and_a_new_one_is_taken() -> None:
    dialog = of_caller()
    dialog.refresh_target(contact_of(request(contact="<sip:moved@192.0.2.77>")))
    dialog.refresh_target(contact_of(request(contact="")))

    assert dialog.target == SipUri("192.0.2.77", "moved")
    with pytest.raises(SipParseError, match="missing"):
        of_caller(request(contact=""))


@pytest.mark.parametrize("contact", ["<tel:+994501234567>", "<sip:a@b>, <sip:c@d>", "nonsense"])
def test_a_contact_is_one_sip_uri(contact: str) -> None:
    with pytest.raises(SipParseError):
        contact_of(request(contact=contact))


@pytest.mark.parametrize(
    ("invite", "flow"),
    [
        (request(), PEER),
        (request(contact="<sip:a@192.0.2.33:5070>"), Flow("udp", "192.0.2.33", 5070)),
        (request(contact="<sip:a@192.0.2.33;transport=TCP>"), Flow("tcp", "192.0.2.33", 5060)),
        (request(contact="<sip:a@pbx.example.com>"), PEER),  # names are not looked up
        (request(extra="Record-Route: <sip:192.0.2.44:5080;lr>\r\n"), Flow("udp", "192.0.2.44", 5080)),
    ],
)
def test_the_next_request_goes_where_route_or_contact_say(invite: Request, flow: Flow) -> None:
    assert of_caller(invite).next_flow() == flow


@pytest.mark.parametrize(
    "via_params", [";received=203.0.113.9", ";rport=31000;received=203.0.113.9", ";rport=31000;received=192.0.2.1"]
)
def test_a_peer_behind_a_nat_is_reached_by_the_way_it_came(via_params: str) -> None:
    natted = Flow("udp", "203.0.113.9" if "203" in via_params else "192.0.2.1", 31_000)
    dialog = of_caller(request(via_params=via_params, contact="<sip:a@10.0.0.5>"), natted)
    assert dialog.next_flow() == natted

    rebound = Flow("udp", natted.host, 40_123)
    dialog.heard_on(rebound)
    assert dialog.next_flow() == rebound


def test_a_peer_on_tcp_is_reached_on_its_connection_until_that_is_lost() -> None:
    dialog = of_caller(request(contact="<sip:a@192.0.2.1:5066>"), PEER_TCP)
    assert dialog.next_flow() == PEER_TCP

    dialog.flow_lost(Flow("tcp", "192.0.2.1", 1, 8))
    assert dialog.next_flow() == PEER_TCP
    dialog.flow_lost(PEER_TCP)
    assert dialog.next_flow() == Flow("tcp", "192.0.2.1", 5066)


def test_a_response_without_a_contact_begins_no_dialog() -> None:
    invite = request()
    ok = response(invite, 200, contact="")
    assert isinstance(ok, Response)

    with pytest.raises(SipParseError):
        Dialog.of_callee(invite, ok, flow=PEER)


def test_a_peer_whose_tls_connection_is_lost_is_dialled_by_the_name_that_was_checked() -> None:
    lost = Flow("tls", "192.0.2.1", 40_001, 8, "sip.example.com")
    dialog = of_callee(lost, contact="<sip:callee@192.0.2.1;transport=tls>")

    dialog.flow_lost(lost)

    assert dialog.next_flow() == Flow("tls", "192.0.2.1", 5061, 0, "sip.example.com")
    moved = of_callee(lost, contact="<sip:callee@192.0.2.1;transport=tcp>")
    moved.flow_lost(lost)
    assert moved.next_flow() == Flow("tcp", "192.0.2.1", 5060)


def test_an_ipv6_address_may_be_written_in_two_ways() -> None:
    flow = Flow("udp", "2001:db8::1", 5060)
    invite = request(contact="<sip:a@[2001:db8::5]>")
    written = invite.with_top_via(Via("UDP", "[2001:DB8:0::1]", 5060, invite.via.parameters))

    assert of_caller(written, flow).next_flow() == Flow("udp", "2001:db8::5", 5060)  # by its Contact, not its NAT


@pytest.mark.parametrize(
    ("flow", "contact"),
    [(PEER, "<sip:a@[2001:db8::1]>"), (Flow("udp", "2001:db8::1", 5060), "<sip:a@192.0.2.1:5060;transport=tcp>")],
)
def test_a_peer_that_names_an_address_of_the_other_family_is_reached_by_the_way_it_came(
    flow: Flow, contact: str
) -> None:
    invite = request(contact=contact)
    host = f"[{flow.host}]" if ":" in flow.host else flow.host
    untranslated = invite.with_top_via(Via("UDP", host, 5060, (("branch", "z9hG4bKone"),)))

    assert of_caller(untranslated, flow).next_flow() == flow


def test_a_peer_that_names_itself_in_via_is_reached_by_the_way_it_came() -> None:
    invite = request()
    named = invite.with_top_via(Via("UDP", "pbx.example", 5060, invite.via.parameters))

    assert of_caller(named, Flow("udp", "192.0.2.7", 5062)).next_flow() == Flow("udp", "192.0.2.7", 5062)


def test_a_caller_of_rfc_2543_without_a_contact_is_reached_as_it_calls_itself() -> None:
    assert of_caller(request(branch="1", contact=""), PEER).target == SipUri("192.0.2.1", "caller")

    with pytest.raises(SipParseError, match="Contact"):
        of_caller(request(contact=""), PEER)
