"""Where the edge sends a message."""

from __future__ import annotations

import pytest

from telephony.sip.call_id_table import CallIdTable
from telephony.sip.call_routing import Drop, Forward, Refuse, Routing, route
from telephony.sip.message import Message
from tests.unit.telephony.sip.messages import request, response


def to(message: Message, table: CallIdTable, worker: int | None = 1, *, now: float = 0.0) -> Routing:
    return route(message, table, lambda: worker, now=now)


def test_a_new_call_goes_to_the_worker_with_room_and_stays_there() -> None:
    table = CallIdTable()

    assert to(request(), table, 1) == Forward(1)
    for message in (request("ACK", to_tag="x"), request("CANCEL"), request("BYE", to_tag="x"), request()):
        assert to(message, table, 2) == Forward(1)
    assert to(response(request(), 200), table, 2) == Forward(1)


def test_a_new_call_is_refused_when_no_worker_has_room_and_stays_refused() -> None:
    table = CallIdTable()

    assert to(request(), table, None) == Refuse(503)
    assert to(request(), table, 1, now=1.0) == Refuse(503)
    assert to(request("ACK"), table, 1, now=1.0) == Drop()
    assert to(request("CANCEL"), table, 1, now=1.0) == Refuse(481)
    assert to(response(request(), 200), table, 1, now=1.0) == Drop()
    assert to(request(branch="z9hG4bKanew", cseq=2), table, 1, now=1.0) == Forward(1)
    assert to(request(call_id="call-2"), table, 1, now=1.0) == Forward(1)


@pytest.mark.parametrize(
    ("message", "routing"),
    [
        (request("ACK"), Drop()),
        (request("BYE", to_tag="x"), Refuse(481)),
        (request("CANCEL"), Refuse(481)),
        (response(request(), 200), Drop()),
        (request("OPTIONS"), Forward(1)),
    ],
)
def test_what_belongs_to_no_call_that_is_known(message: Message, routing: Routing) -> None:
    assert to(message, CallIdTable()) == routing


def test_bindings_that_have_expired_are_cleared_on_the_way() -> None:
    table = CallIdTable(linger_s=10.0)
    to(request(), table)

    to(request(call_id="call-2"), table, now=20.0)

    assert len(table) == 1


def test_an_invite_that_replaces_a_call_goes_to_the_worker_that_has_it() -> None:
    table = CallIdTable()
    to(request(), table, 1)
    newcomer = request(call_id="newcomer", extra="Replaces: call-1;to-tag=a;from-tag=b\r\n")
    stranger = request(call_id="stranger", extra="Replaces: nowhere;to-tag=a;from-tag=b\r\n")

    assert (to(newcomer, table, 2), to(stranger, table, 2)) == (Forward(1), Forward(2))
    assert to(request("ACK", call_id="newcomer", to_tag="x"), table, 2) == Forward(1)


def test_a_worker_may_have_the_number_nought() -> None:
    table = CallIdTable()
    to(request(), table, 0)

    assert to(request(call_id="n", extra="Replaces: call-1;to-tag=a;from-tag=b\r\n"), table, 2) == Forward(0)
