"""The transaction layer: matching, merging, where answers go, what breaks with a connection."""

from __future__ import annotations

import pytest

from telephony.sip.flow import Flow, Transmit
from telephony.sip.message import Request, Response, parse_message
from telephony.sip.responses import response_to
from telephony.sip.timers import Timings
from telephony.sip.transaction import Failure
from telephony.sip.transactions import (
    AckReceived,
    ClientKey,
    LayerOutput,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    TransactionLayer,
    response_flow,
    server_key,
)
from tests.unit.telephony.sip.machines import drain, play
from tests.unit.telephony.sip.messages import PEER, PEER_TCP, request, response


def layer(**options: int) -> TransactionLayer:
    return TransactionLayer(timings=Timings(), **options)


def receive(ours: TransactionLayer, message: Request | Response, flow: Flow = PEER) -> list[LayerOutput]:
    ours.receive(message, flow, now=0.0)
    return drain(ours)


def received(outputs: list[LayerOutput]) -> RequestReceived:
    (output,) = outputs
    assert isinstance(output, RequestReceived)
    return output


def statuses(outputs: list[LayerOutput]) -> list[int]:
    messages = [parse_message(output.data) for output in outputs if isinstance(output, Transmit)]
    return [message.status for message in messages if isinstance(message, Response)]


def test_a_request_is_put_out_once_with_where_it_came_from() -> None:
    ours = layer()

    first = received(receive(ours, request("OPTIONS", via_params=";rport"), Flow("udp", "192.0.2.50", 1234)))

    assert str(first.request.via).endswith("received=192.0.2.50;rport=1234")
    assert receive(ours, request("OPTIONS"), PEER) == []
    assert len(ours) == 1


def test_a_retransmission_is_answered_by_its_transaction() -> None:
    ours = layer()
    key = received(receive(ours, request("OPTIONS"))).key
    ours.respond(key, response_to(request("OPTIONS"), 200), now=0.0)
    assert statuses(drain(ours)) == [200]

    assert statuses(receive(ours, request("OPTIONS"))) == [200]


def test_an_invite_is_retransmitted_rejected_and_acknowledged() -> None:
    ours = layer()
    key = received(receive(ours, request())).key
    ours.respond(key, response_to(request(), 180), now=0.0)
    assert statuses(drain(ours)) == [180]
    assert statuses(receive(ours, request())) == [180]
    ours.respond(key, response_to(request(), 486), now=0.0)
    drain(ours)

    assert receive(ours, request("ACK")) == []
    play(ours)
    assert len(ours) == 0
    ours.respond(key, response_to(request(), 486), now=0.0)
    assert drain(ours) == []


def test_the_ack_for_a_200_is_put_out() -> None:
    ours = layer()

    (output,) = receive(ours, request("ACK", branch="z9hG4bKnew", to_tag="ours"))

    assert isinstance(output, AckReceived)
    assert len(ours) == 0


def test_an_ack_for_a_200_with_the_branch_of_its_invite_is_put_out_too() -> None:
    ours = layer()
    key = received(receive(ours, request())).key
    ours.respond(key, response_to(request(), 200, to_tag="ours"), now=0.0)
    drain(ours)

    (output,) = receive(ours, request("ACK", to_tag="ours"))

    assert isinstance(output, AckReceived)


@pytest.mark.parametrize("branch", ["", "z9hG4bK", "1"])
def test_an_rfc_2543_peer_is_matched_without_a_branch(branch: str) -> None:
    ours = layer()
    invite = request(branch=branch)
    key = received(receive(ours, invite)).key
    ours.respond(key, response_to(invite, 486, to_tag="ours"), now=0.0)
    drain(ours)

    assert statuses(receive(ours, invite)) == [486]
    assert receive(ours, request("ACK", branch=branch, to_tag="ours")) == []
    assert received(receive(ours, request(branch=branch, cseq=2))).key != key


def test_a_cancel_finds_its_invite() -> None:
    assert server_key(request("CANCEL"), "INVITE") == server_key(request())
    assert server_key(request("CANCEL")) != server_key(request())


def test_the_same_request_by_another_path_is_merged() -> None:
    ours = layer()
    first = received(receive(ours, request()))
    second = received(receive(ours, request(branch="z9hG4bKtwo")))
    in_dialog = received(receive(ours, request(branch="z9hG4bKthree", to_tag="ours")))

    assert not ours.is_merged(first.key, first.request)
    assert ours.is_merged(second.key, second.request)
    assert not ours.is_merged(in_dialog.key, in_dialog.request)
    for each in (first, second, in_dialog):
        ours.respond(each.key, response_to(each.request, 482), now=0.0)
    play(ours)
    assert len(ours) == 0
    assert not ours.is_merged(second.key, second.request)


def test_answers_go_where_the_request_came_from_or_to_its_sent_by_port() -> None:
    natted = Flow("udp", "203.0.113.9", 31_000)

    assert response_flow(request(via_params=";rport"), natted) == natted
    assert response_flow(request(), natted) == Flow("udp", "203.0.113.9", 5060)
    assert response_flow(request(via_params=";maddr=198.51.100.1"), natted).host == "203.0.113.9"
    assert response_flow(request(), PEER_TCP) == PEER_TCP


def test_there_is_a_limit_to_transactions() -> None:
    ours = layer(max_transactions=1)
    receive(ours, request())

    refused = receive(ours, request(branch="z9hG4bKtwo", call_id="call-2"))

    assert statuses(refused) == [503]
    assert len(ours) == 1


def test_a_response_goes_to_the_owner_of_its_request() -> None:
    ours = layer()
    bye = request("BYE", to_tag="callee")
    key = ours.send(bye, PEER, owner="call", now=0.0)
    assert len(drain(ours)) == 1
    ok = response(bye, 200)

    assert receive(ours, ok, PEER) == [ResponseReceived("call", key, ok, PEER)]
    assert receive(ours, ok) == []
    play(ours)
    assert len(ours) == 0


def test_a_response_that_nobody_waits_for_is_dropped() -> None:
    assert receive(layer(), response(request(), 200)) == []


def test_a_request_that_nobody_answers_fails() -> None:
    ours = layer()
    key = ours.send(request(), PEER, owner="call", now=0.0)

    assert play(ours)[-1] == (32.0, RequestFailed("call", key, Failure.TIMEOUT))
    assert (len(ours), ours.timer_at()) == (0, None)


def test_a_lost_connection_fails_what_was_sent_on_it() -> None:
    ours = layer()
    key = ours.send(request("BYE", to_tag="x", transport="TCP"), PEER_TCP, owner="call", now=0.0)
    other = ours.send(request("BYE", to_tag="x", branch="z9hG4bKtwo"), PEER, owner="other", now=0.0)
    drain(ours)

    ours.flow_lost(PEER_TCP)

    assert drain(ours) == [RequestFailed("call", key, Failure.TRANSPORT)]
    assert other in ours._clients


def test_answers_on_a_lost_connection_go_to_the_sent_by_port() -> None:
    ours = layer()
    key = received(receive(ours, request(transport="TCP"), PEER_TCP)).key
    udp_key = received(receive(ours, request(branch="z9hG4bKtwo", call_id="c2"), PEER)).key

    ours.flow_lost(PEER_TCP)
    ours.flow_lost(PEER)
    for each in (key, udp_key):
        ours.respond(each, response_to(request(), 486), now=0.0)

    assert [output.flow for output in drain(ours) if isinstance(output, Transmit)] == [
        Flow("tcp", "192.0.2.1", 5060),
        PEER,
    ]


def test_a_message_without_a_transaction_is_just_sent() -> None:
    ours = layer()
    ours.send_stateless(request("ACK", to_tag="x"), PEER)

    (output,) = drain(ours)
    assert isinstance(output, Transmit)
    assert (output.flow, len(ours), ours.has_server(server_key(request()))) == (PEER, 0, False)


def test_only_an_invite_of_ours_that_is_alive_is_told_not_to_repeat_itself() -> None:
    ours = layer()
    keys = [
        ours.send(request(method, branch=f"z9hG4bK{method}"), PEER, owner="me", now=0.0)
        for method in ("INVITE", "OPTIONS")
    ]
    for key in (*keys, ClientKey("gone", "INVITE")):
        ours.stop_repeating(key)
    drain(ours)
    ours.handle_timer(now=0.5)

    sent = [parse_message(output.data) for output in drain(ours) if isinstance(output, Transmit)]
    assert [message.method for message in sent if isinstance(message, Request)] == ["OPTIONS"]
