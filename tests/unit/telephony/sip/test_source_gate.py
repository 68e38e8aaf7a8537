"""What the public sockets let in and out."""

from __future__ import annotations

from dataclasses import replace

from telephony.sip.flow import Flow
from telephony.sip.source_gate import CALLED_FOR_S, FIRST_REPLY_BYTES, GateLimits, Kept, SourceGate
from tests.unit.telephony.sip.messages import OFFER, PEER, PEER_TCP, request, request_bytes, response_bytes

INVITE = request_bytes(body=OFFER)
OK = response_bytes(request(), 200, body=OFFER)
STRANGER = Flow("udp", "203.0.113.66", 5060)


def gate(**limits: object) -> SourceGate:
    return SourceGate(GateLimits(("192.0.2.0/24",), **limits))  # type: ignore[arg-type] - passed on as they are


def test_who_is_on_the_list_comes_in_and_a_stranger_does_not() -> None:
    ours = gate()

    assert ours.receive(INVITE, PEER, now=0.0) is None
    assert ours.receive(INVITE, STRANGER, now=0.0) is Kept.SOURCE
    assert ours.receive(OK, STRANGER, now=0.0) is Kept.SOURCE
    assert ours.kept[Kept.SOURCE] == 2
    assert (ours.listens_to(PEER.host, now=0.0), ours.listens_to(STRANGER.host, now=0.0)) == (True, False)


def test_only_this_machine_comes_in_where_nothing_is_set() -> None:
    ours = SourceGate(GateLimits())

    assert ours.receive(INVITE, Flow("udp", "127.0.0.1", 5070), now=0.0) is None
    assert ours.receive(INVITE, PEER, now=0.0) is Kept.SOURCE


def test_whoever_we_call_is_listened_to_for_a_day() -> None:
    ours = gate()
    assert ours.send(INVITE, STRANGER, now=0.0) is None

    assert ours.receive(OK, STRANGER, now=CALLED_FOR_S - 1) is None
    assert ours.receive(OK, STRANGER, now=CALLED_FOR_S) is Kept.SOURCE


def test_whoever_answers_a_call_of_ours_elsewhere_is_listened_to_once_we_acknowledge() -> None:
    ours = gate()
    assert ours.send(request_bytes("ACK", to_tag="theirs"), STRANGER, now=0.0) is None

    assert ours.receive(request_bytes("BYE", to_tag="ours"), STRANGER, now=1.0) is None


def test_a_bye_to_a_contact_that_a_caller_named_makes_nobody_trusted() -> None:
    ours = gate()
    assert ours.send(request_bytes("BYE", to_tag="theirs"), STRANGER, now=0.0) is None

    assert ours.receive(INVITE, STRANGER, now=0.0) is Kept.SOURCE


def test_a_source_that_sends_too_much_is_not_read_while_others_are() -> None:
    ours = gate(messages_per_s=1.0, burst=2)
    other = Flow("udp", "192.0.2.77", 5060)

    assert [ours.receive(INVITE, PEER, now=0.0) for _ in range(3)] == [None, None, Kept.RATE]
    assert ours.receive(INVITE, other, now=0.0) is None


def test_a_scanner_is_not_answered() -> None:
    assert gate().receive(request_bytes("OPTIONS", extra="User-Agent: sipvicious\r\n"), PEER, now=0.0) is Kept.SCANNER


def test_a_forged_address_gets_three_times_what_was_sent_in_its_name_and_a_little() -> None:
    ours = gate()
    ours.receive(INVITE, PEER, now=0.0)
    sent = 0
    while ours.send(OK, PEER, now=0.1) is None:
        sent += len(OK)

    assert 3 * len(INVITE) <= sent <= 3 * len(INVITE) + FIRST_REPLY_BYTES
    assert ours.kept[Kept.REPLY] == 1


def test_a_200_that_nobody_acknowledges_leaves_room_for_its_bye() -> None:
    ours = gate()
    ours.receive(INVITE, PEER, now=0.0)
    while ours.send(OK, PEER, now=0.1) is None:
        pass

    assert ours.send(request_bytes("BYE", to_tag="theirs"), PEER, now=32.0) is None


def test_a_peer_that_talks_is_answered_for_ever() -> None:
    ours = gate(burst=10_000)

    for _ in range(5_000):
        assert ours.receive(INVITE, PEER, now=0.0) is None
        assert ours.send(OK, PEER, now=0.0) is None


def test_what_a_peer_has_sent_is_not_kept_as_credit_for_ever() -> None:
    ours = gate(burst=10_000)
    for _ in range(5_000):
        ours.receive(INVITE, PEER, now=0.0)
    sent = 0
    while ours.send(OK, PEER, now=0.0) is None:
        sent += len(OK)

    assert sent < 300_000


def test_over_tcp_the_peer_is_where_it_says() -> None:
    ours = gate()
    assert ours.receive(INVITE, PEER_TCP, now=0.0) is None

    assert all(ours.send(OK, PEER_TCP, now=0.0) is None for _ in range(1_000))


def test_no_connection_is_opened_to_whom_only_a_contact_names() -> None:
    ours = gate()
    redis, bye = Flow("tcp", "10.0.0.7", 6379), request_bytes("BYE", to_tag="theirs")

    assert ours.send(bye, redis, now=0.0) is Kept.SOURCE
    assert ours.send(bye, replace(redis, transport="tls"), now=0.0) is Kept.SOURCE
    assert ours.send(bye, replace(redis, host="192.0.2.9"), now=0.0) is None
    assert ours.send(INVITE, redis, now=1.0) is None  # a call of our own
    assert ours.send(bye, redis, now=2.0) is None


def test_what_we_call_may_be_sent_to_without_measure() -> None:
    ours = gate()
    ours.send(INVITE, STRANGER, now=0.0)

    assert all(ours.send(OK, STRANGER, now=1.0) is None for _ in range(1_000))


def test_no_flood_of_forged_addresses_makes_a_table_grow() -> None:
    ours = SourceGate(GateLimits(("10.0.0.0/8",), max_sources=50))
    for n in range(1_000):
        flow = Flow("udp", f"10.0.{n // 250}.{n % 250}", 5060)
        ours.receive(INVITE, flow, now=0.0)
        ours.send(OK, flow, now=0.0)
        ours.send(INVITE, flow, now=0.0)

    assert len(ours._rates) <= 50
    assert len(ours._replies) <= 50
    assert len(ours._requests) <= 50
    assert len(ours._called) <= 50
