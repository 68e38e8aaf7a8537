"""INVITE server transaction: RFC 3261 section 17.2.1, RFC 6026."""

from __future__ import annotations

import pytest

from telephony.errors import LocalProtocolError
from telephony.sip.flow import Flow, Transmit
from telephony.sip.invite_server import InviteServerTransaction, State
from telephony.sip.message import Response, build_message
from telephony.sip.responses import response_to
from telephony.sip.timers import Timings
from tests.unit.telephony.sip.machines import drain, play
from tests.unit.telephony.sip.messages import PEER, PEER_TCP, request


def transaction(flow: Flow = PEER) -> InviteServerTransaction:
    return InviteServerTransaction(flow, timings=Timings())


def answer(status: int) -> Response:
    return response_to(request(), status, to_tag="ours")


def sent(status: int, flow: Flow = PEER) -> Transmit:
    return Transmit(build_message(answer(status)), flow)


def test_a_retransmitted_invite_gets_the_last_provisional_response_again() -> None:
    tx = transaction()
    tx.receive_invite()
    assert drain(tx) == []

    tx.respond(answer(180), now=0.0)
    tx.receive_invite()
    tx.respond(answer(183), now=0.5)
    tx.receive_invite()

    assert drain(tx) == [sent(180), sent(180), sent(183), sent(183)]
    assert (tx.state, tx.timer_at()) == (State.PROCEEDING, None)


def test_a_rejection_is_resent_with_backoff_until_the_caller_is_given_up() -> None:
    tx = transaction()
    tx.respond(answer(486), now=0.0)
    assert drain(tx) == [sent(486)]

    resent = play(tx)

    assert resent == [(at, sent(486)) for at in (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)]
    assert tx.state is State.TERMINATED


def test_a_rejection_over_tcp_is_sent_once_and_waits_for_its_ack() -> None:
    tx = transaction(PEER_TCP)
    tx.respond(answer(486), now=0.0)

    assert drain(tx) == [sent(486, PEER_TCP)]
    assert play(tx, until=31.9) == []
    assert tx.state is State.COMPLETED
    tx.handle_timer(now=32.0)
    assert (tx.state, tx.timer_at()) == (State.TERMINATED, None)


@pytest.mark.parametrize(("flow", "absorbs_s"), [(PEER, 5.0), (PEER_TCP, 0.0)])
def test_an_acknowledged_rejection_absorbs_more_acks_and_ends(flow: Flow, absorbs_s: float) -> None:
    tx = transaction(flow)
    tx.respond(answer(486), now=0.0)
    drain(tx)

    tx.receive_ack(now=1.0)
    tx.receive_ack(now=1.1)
    tx.receive_invite()

    assert (drain(tx), tx.state, tx.timer_at()) == ([], State.CONFIRMED, 1.0 + absorbs_s)
    assert play(tx) == []
    assert tx.state is State.TERMINATED


def test_a_retransmitted_invite_gets_the_rejection_again() -> None:
    tx = transaction()
    tx.respond(answer(486), now=0.0)
    tx.receive_invite()

    assert drain(tx) == [sent(486), sent(486)]


def test_an_accepted_invite_absorbs_retransmissions_and_lets_its_user_resend_the_200() -> None:
    tx = transaction()
    tx.respond(answer(200), now=0.0)
    tx.receive_invite()
    tx.receive_ack(now=0.2)
    tx.respond(answer(200), now=0.5)

    assert drain(tx) == [sent(200), sent(200)]
    assert (tx.state, tx.timer_at()) == (State.ACCEPTED, 32.0)
    tx.handle_timer(now=32.0)
    assert tx.state is State.TERMINATED


@pytest.mark.parametrize(("first", "second"), [(200, 486), (486, 200), (486, 180), (200, 180), (486, 487)])
def test_a_final_response_is_not_taken_back(first: int, second: int) -> None:
    tx = transaction()
    tx.respond(answer(first), now=0.0)

    with pytest.raises(LocalProtocolError):
        tx.respond(answer(second), now=0.1)


def test_nothing_happens_before_a_timer_is_due() -> None:
    tx = transaction()
    tx.respond(answer(486), now=0.0)
    drain(tx)

    tx.handle_timer(now=0.4)

    assert (drain(tx), tx.timer_at()) == ([], 0.5)
