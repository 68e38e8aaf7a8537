"""INVITE client transaction: RFC 3261 section 17.1.1, RFC 6026."""

from __future__ import annotations

import pytest

from telephony.sip.flow import Flow, Transmit
from telephony.sip.invite_client import InviteClientTransaction, State
from telephony.sip.message import CSeq, Request, build_message, parse_message
from telephony.sip.timers import Timings
from telephony.sip.transaction import Delivered, Failed, Failure, TransactionOutput
from tests.unit.telephony.sip.machines import drain, play
from tests.unit.telephony.sip.messages import PEER, PEER_TCP, request, response

INVITE = request(extra="Route: <sip:p1;lr>, <sip:p2;lr>\r\n")


def transaction(flow: Flow = PEER) -> InviteClientTransaction:
    return InviteClientTransaction(INVITE, flow, timings=Timings(), now=0.0)


def invite(flow: Flow = PEER) -> Transmit:
    return Transmit(build_message(INVITE), flow)


def ack_in(output: TransactionOutput) -> Request:
    assert isinstance(output, Transmit)
    message = parse_message(output.data)
    assert isinstance(message, Request)
    return message


def test_an_invite_is_resent_with_doubling_gaps_until_nobody_answers() -> None:
    tx = transaction()
    assert drain(tx) == [invite()]

    *resent, (gave_up_at, last) = play(tx)

    assert resent == [(at, invite()) for at in (0.5, 1.5, 3.5, 7.5, 15.5, 31.5)]
    assert (gave_up_at, last, tx.state) == (32.0, Failed(Failure.TIMEOUT), State.TERMINATED)


def test_an_invite_over_tcp_is_sent_once() -> None:
    tx = transaction(PEER_TCP)
    assert drain(tx) == [invite(PEER_TCP)]

    assert play(tx) == [(32.0, Failed(Failure.TIMEOUT))]


def test_a_provisional_response_stops_retransmissions_and_the_clock() -> None:
    tx = transaction()
    drain(tx)
    trying, ringing = response(INVITE, 100, to_tag=""), response(INVITE, 180)

    tx.receive(trying, now=0.1)
    tx.receive(ringing, now=0.2)

    assert drain(tx) == [Delivered(trying), Delivered(ringing)]
    assert (tx.state, tx.timer_at()) == (State.PROCEEDING, None)


@pytest.mark.parametrize("ringing_first", [True, False])
def test_a_rejection_is_acknowledged_each_time_and_delivered_once(*, ringing_first: bool) -> None:
    tx = transaction()
    if ringing_first:
        tx.receive(response(INVITE, 180), now=0.1)
    drain(tx)
    busy = response(INVITE, 486)

    tx.receive(busy, now=0.2)
    tx.receive(busy, now=0.7)
    first_ack, delivered, second_ack = drain(tx)

    assert delivered == Delivered(busy)
    assert first_ack == second_ack
    ack = ack_in(first_ack)
    assert (ack.method, ack.uri, ack.via, ack.cseq) == ("ACK", INVITE.uri, INVITE.via, CSeq(1, "ACK"))
    assert (ack.from_, ack.to.tag, ack.call_id) == (INVITE.from_, "callee", INVITE.call_id)
    assert ack.headers.listed("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert tx.timer_at() == 32.2


@pytest.mark.parametrize(("flow", "absorbs_s"), [(PEER, 32.0), (PEER_TCP, 0.0)])
def test_a_rejected_invite_absorbs_more_rejections_and_ends(flow: Flow, absorbs_s: float) -> None:
    tx = transaction(flow)
    tx.receive(response(INVITE, 603), now=1.0)

    assert tx.timer_at() == 1.0 + absorbs_s
    play(tx)
    assert tx.state is State.TERMINATED


def test_every_200_is_delivered_for_its_user_to_acknowledge() -> None:
    tx = transaction()
    drain(tx)
    ok, fork = response(INVITE, 200), response(INVITE, 200, to_tag="other")

    for each in (ok, ok, fork):
        tx.receive(each, now=1.0)

    assert drain(tx) == [Delivered(ok), Delivered(ok), Delivered(fork)]
    assert (tx.state, tx.timer_at()) == (State.ACCEPTED, 33.0)
    assert play(tx) == []
    assert tx.state is State.TERMINATED


def test_a_response_that_comes_too_late_is_dropped() -> None:
    tx = transaction()
    tx.receive(response(INVITE, 200), now=1.0)
    drain(tx)

    tx.receive(response(INVITE, 180), now=1.1)
    tx.receive(response(INVITE, 486), now=1.1)

    assert (drain(tx), tx.state) == ([], State.ACCEPTED)


def test_a_broken_transport_fails_the_invite() -> None:
    tx = transaction()
    drain(tx)

    tx.transport_failed()

    assert (drain(tx), tx.state, tx.timer_at()) == ([Failed(Failure.TRANSPORT)], State.TERMINATED, None)


def test_a_transport_that_breaks_after_an_answer_changes_nothing() -> None:
    tx = transaction()
    tx.receive(response(INVITE, 180), now=0.1)
    drain(tx)

    tx.transport_failed()

    assert (drain(tx), tx.state) == ([], State.PROCEEDING)
