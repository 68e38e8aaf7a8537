"""Non-INVITE server transaction: RFC 3261 section 17.2.2."""

from __future__ import annotations

import pytest

from telephony.errors import LocalProtocolError
from telephony.sip.flow import Flow, Transmit
from telephony.sip.message import Response, build_message
from telephony.sip.non_invite_server import NonInviteServerTransaction, State
from telephony.sip.responses import response_to
from telephony.sip.timers import Timings
from tests.unit.telephony.sip.machines import drain, play
from tests.unit.telephony.sip.messages import PEER, PEER_TCP, request


def transaction(flow: Flow = PEER) -> NonInviteServerTransaction:
    return NonInviteServerTransaction(flow, timings=Timings())


def answer(status: int) -> Response:
    return response_to(request("OPTIONS"), status, to_tag="ours")


def sent(status: int) -> Transmit:
    return Transmit(build_message(answer(status)), PEER)


def test_a_retransmission_before_any_response_is_absorbed() -> None:
    tx = transaction()
    tx.receive_request()

    assert (drain(tx), tx.state) == ([], State.TRYING)


def test_a_retransmission_gets_the_last_response_again() -> None:
    tx = transaction()
    tx.respond(answer(100), now=0.0)
    tx.receive_request()
    tx.respond(answer(183), now=0.1)
    tx.respond(answer(200), now=0.2)
    tx.receive_request()

    assert drain(tx) == [sent(100), sent(100), sent(183), sent(200), sent(200)]


@pytest.mark.parametrize(("flow", "absorbs_s"), [(PEER, 32.0), (PEER_TCP, 0.0)])
def test_an_answered_request_absorbs_retransmissions_and_ends(flow: Flow, absorbs_s: float) -> None:
    tx = transaction(flow)
    tx.respond(answer(200), now=1.0)

    assert tx.timer_at() == 1.0 + absorbs_s
    tx.handle_timer(now=0.9)
    assert tx.state is State.COMPLETED
    play(tx)
    assert tx.state is State.TERMINATED
    drain(tx)
    tx.receive_request()
    assert drain(tx) == []


def test_a_final_response_is_not_taken_back() -> None:
    tx = transaction()
    tx.respond(answer(200), now=0.0)

    with pytest.raises(LocalProtocolError):
        tx.respond(answer(481), now=0.1)
