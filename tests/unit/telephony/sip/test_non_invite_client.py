"""Non-INVITE client transaction: RFC 3261 section 17.1.2."""

from __future__ import annotations

import pytest

from telephony.sip.flow import Flow, Transmit
from telephony.sip.message import build_message
from telephony.sip.non_invite_client import NonInviteClientTransaction, State
from telephony.sip.timers import Timings
from telephony.sip.transaction import Delivered, Failed, Failure
from tests.unit.telephony.sip.machines import drain, play
from tests.unit.telephony.sip.messages import PEER, PEER_TCP, request, response

BYE = request("BYE", to_tag="callee")


def transaction(flow: Flow = PEER) -> NonInviteClientTransaction:
    return NonInviteClientTransaction(BYE, flow, timings=Timings(), now=0.0)


def bye(flow: Flow = PEER) -> Transmit:
    return Transmit(build_message(BYE), flow)


def test_a_request_is_resent_with_gaps_up_to_t2_until_nobody_answers() -> None:
    tx = transaction()
    assert drain(tx) == [bye()]

    *resent, (gave_up_at, last) = play(tx)

    assert resent == [(at, bye()) for at in (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)]
    assert (gave_up_at, last, tx.state) == (32.0, Failed(Failure.TIMEOUT), State.TERMINATED)


def test_a_request_over_tcp_is_sent_once() -> None:
    tx = transaction(PEER_TCP)

    assert drain(tx) == [bye(PEER_TCP)]
    assert play(tx) == [(32.0, Failed(Failure.TIMEOUT))]


def test_a_provisional_response_slows_retransmissions_down_to_t2() -> None:
    tx = transaction()
    drain(tx)
    trying = response(BYE, 100)

    tx.receive(trying, now=0.1)
    tx.receive(trying, now=0.2)

    assert drain(tx) == [Delivered(trying), Delivered(trying)]
    assert [at for at, _ in play(tx, until=10.0)] == [0.5, 4.5, 8.5]
    assert tx.state is State.PROCEEDING
    tx.receive(response(BYE, 200), now=10.0)
    assert tx.state is State.COMPLETED


@pytest.mark.parametrize(("flow", "absorbs_s"), [(PEER, 5.0), (PEER_TCP, 0.0)])
def test_a_final_response_is_delivered_once(flow: Flow, absorbs_s: float) -> None:
    tx = transaction(flow)
    drain(tx)
    ok = response(BYE, 200)

    tx.receive(ok, now=1.0)
    tx.receive(ok, now=1.5)

    assert drain(tx) == [Delivered(ok)]
    assert tx.timer_at() == 1.0 + absorbs_s
    assert play(tx) == []
    assert tx.state is State.TERMINATED


def test_a_broken_transport_fails_the_request() -> None:
    tx = transaction()
    drain(tx)

    tx.transport_failed()
    tx.transport_failed()

    assert (drain(tx), tx.state, tx.timer_at()) == ([Failed(Failure.TRANSPORT)], State.TERMINATED, None)
