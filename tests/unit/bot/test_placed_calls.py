"""Calls that a worker places, and what became of them."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from bot.errors import SettingsError
from bot.placed_calls import PlacedCalls, PlacedStatus, WorkerDial, WorkerRoute
from telephony.errors import CapacityError
from telephony.leg import CallLeg, EndCause, LegEnded
from telephony.sip.flow import Flow
from telephony.sip.trunk_events import TrunkRoute
from tests.fakes.leg import FakeLeg


class PlacedFake(FakeLeg):
    ringing_status = 0


class Desk:
    def __init__(self) -> None:
        self.asked: list[WorkerDial] = []
        self.legs: list[PlacedFake] = []
        self.taken: list[CallLeg] = []
        self.free = [1, 1]  # before and after the INVITE
        self.calls = PlacedCalls(place=self.place, take=self.taken.append, free=self.count, check_flow=self.check)

    def count(self) -> int:
        return self.free[min(len(self.legs), 1)]

    async def check(self, name: str, variables: Collection[str]) -> None:
        if name == "nowhere" or "undeclared" in variables:
            raise SettingsError("there is no such flow or variable")

    async def place(self, request: WorkerDial) -> PlacedFake:
        self.asked.append(request)
        self.legs.append(PlacedFake(call_id=f"{len(self.legs):032x}"))
        return self.legs[-1]


async def test_a_call_is_followed_from_its_invite_to_its_end() -> None:
    desk = Desk()
    call_id = await desk.calls.dial(WorkerDial(target="sip:a@b"))
    (leg,) = desk.legs

    assert (desk.taken, desk.calls.status(call_id)) == ([leg], PlacedStatus(state="calling"))
    leg.ringing_status = 180
    assert desk.calls.status(call_id) == PlacedStatus(state="ringing")
    leg.answered = True
    assert desk.calls.status(call_id) == PlacedStatus(state="answered")
    desk.calls.answered_by(call_id, "machine")
    desk.calls.answered_by("somebody's", "human")
    assert desk.calls.status(call_id) == PlacedStatus(state="answered", answered_by="machine")
    desk.calls.ended(call_id, LegEnded(EndCause.FAILED, "486 Busy Here", 17))
    desk.calls.ended("somebody's", LegEnded(EndCause.FAILED))
    assert desk.calls.status(call_id) == PlacedStatus(
        state="ended", answered_by="machine", cause="failed", detail="486 Busy Here", q850=17
    )


async def test_the_flow_is_checked_before_anybody_is_called_and_named_to_the_call() -> None:
    desk = Desk()
    with pytest.raises(SettingsError):
        await desk.calls.dial(WorkerDial(target="sip:a@b", flow="nowhere"))
    with pytest.raises(SettingsError):
        await desk.calls.dial(WorkerDial(target="sip:a@b", variables={"undeclared": "x"}))
    await desk.calls.dial(WorkerDial(target="sip:a@b", flow="bank", variables={"name": "x"}))

    assert [request.variables for request in desk.asked] == [{"name": "x", "flow": "bank"}]


async def test_no_call_is_placed_where_no_place_is_left() -> None:
    desk = Desk()
    desk.free = [0]
    with pytest.raises(CapacityError):
        await desk.calls.dial(WorkerDial(target="sip:a@b"))

    assert desk.asked == []


async def test_a_call_whose_place_is_taken_while_it_is_placed_is_hung_up() -> None:
    desk = Desk()
    desk.free = [1, 0]
    with pytest.raises(CapacityError):
        await desk.calls.dial(WorkerDial(target="sip:a@b"))

    assert ([leg.hung_up for leg in desk.legs], desk.taken) == ([True], [])


async def test_a_call_is_hung_up_by_its_id() -> None:
    desk = Desk()
    call_id = await desk.calls.dial(WorkerDial(target="sip:a@b"))

    assert (await desk.calls.hang_up(call_id), desk.legs[0].hung_up) == (True, True)
    assert (await desk.calls.hang_up("other"), desk.calls.status("other")) == (False, None)


async def test_only_the_last_calls_are_remembered() -> None:
    desk = Desk()
    ids = [await desk.calls.dial(WorkerDial(target="sip:a@b")) for _ in range(257)]

    assert desk.calls.status(ids[0]) is None
    assert desk.calls.status(ids[1]) is not None


def test_a_route_survives_the_wire() -> None:
    route = TrunkRoute(
        Flow("tls", "192.0.2.1", 5061, 0, "a.az"), "example", "aysel", ("<sip:edge;lr>",), (Flow("udp", "::1", 5060),)
    )

    assert WorkerRoute.model_validate_json(WorkerRoute.of(route).model_dump_json()).trunk_route() == route
