"""The bot calls SIPp: over UDP and TCP, straight and through the dispatcher."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from telephony.errors import LegEndedError
from telephony.leg import EndCause, LegEnded
from telephony.sip.auth import Credentials
from telephony.sip.leg import SipLeg
from tests.integration.telephony.sip_house import Carriage, House, far_end, free_port, house
from tests.waiting import HUNG_S

everywhere = pytest.mark.parametrize(
    ("carriage", "transport"),
    [("straight", "udp"), ("straight", "tcp"), ("dispatched", "udp"), ("dispatched", "tcp")],
)


async def place(ours: House, port: int, transport: str, credentials: Credentials | None = None) -> SipLeg:
    target = f"sip:far@127.0.0.1:{port};transport={transport}"
    return await ours.endpoints[-1].place_call(target, caller="bot", credentials=credentials)


@everywhere
@pytest.mark.parametrize(
    ("scenario", "credentials"), [("uas_answer", None), ("uas_digest", Credentials("aysel", "gizli"))]
)
async def test_a_call_is_placed_answered_and_hung_up(
    carriage: Carriage, transport: str, scenario: str, credentials: Credentials | None, tmp_path: Path
) -> None:
    async with (
        house(carriage=carriage) as ours,
        far_end(scenario, folder=tmp_path, transport=transport) as (port, sipp),
    ):
        leg = await place(ours, port, transport, credentials)
        await leg.answer()
        await leg.hang_up()

        assert await sipp == ""
        assert await leg.receive() == LegEnded(EndCause.BOT_HUNG_UP)
        await ours.settled()


async def test_a_call_is_ended_by_its_call_id_and_no_other_is() -> None:
    async with house() as far, house() as ours:
        (endpoint,) = ours.endpoints
        legs = [await endpoint.place_call(far.uri(), caller="bot") for _ in range(2)]
        for leg in legs:
            await leg.answer()
        endpoint.end(legs[0].info.variables["sip_call_id"], "toll")

        assert await legs[0].receive() == LegEnded(EndCause.BOT_HUNG_UP, "toll")
        assert endpoint.call_count == 2  # one says goodbye, the other goes on
        await legs[1].hang_up()
        await ours.settled()
        assert [end.cause for end in far.ends() if isinstance(end, LegEnded)] == [EndCause.CALLER_HUNG_UP] * 2


@everywhere
async def test_a_far_end_that_is_busy_ends_the_call(carriage: Carriage, transport: str, tmp_path: Path) -> None:
    async with (
        house(carriage=carriage) as ours,
        far_end("uas_busy", folder=tmp_path, transport=transport) as (port, sipp),
    ):
        leg = await place(ours, port, transport)
        with pytest.raises(LegEndedError):
            await leg.answer()

        assert await sipp == ""
        assert await leg.receive() == LegEnded(EndCause.FAILED, "486 Busy Here")
        await ours.settled()


@everywhere
@pytest.mark.parametrize("scenario", ["uas_ring", "uas_race"])  # in the race its 200 crosses our CANCEL
async def test_a_call_that_rings_is_cancelled(
    scenario: str, carriage: Carriage, transport: str, tmp_path: Path
) -> None:
    async with (
        house(carriage=carriage) as ours,
        far_end(scenario, folder=tmp_path, transport=transport) as (port, sipp),
    ):
        leg = await place(ours, port, transport)
        await leg.hang_up()

        assert await sipp == ""
        assert await leg.receive() == LegEnded(EndCause.BOT_HUNG_UP)
        await ours.settled()


async def test_a_hold_that_crosses_the_far_ends_own_change_is_tried_again(tmp_path: Path) -> None:
    async with (
        house(carriage="dispatched") as ours,
        far_end("uas_glare", folder=tmp_path) as (port, sipp),
    ):
        leg = await place(ours, port, "udp")
        await leg.answer()
        await leg.hold(on_hold=True)
        media = ours.media[len(ours.endpoints) - 1].opened[0]
        async with asyncio.timeout(HUNG_S):  # RFC 3261 section 14.1: up to 4 s before the second try
            while media.applied[-1].receive:
                await asyncio.sleep(0.02)
        await leg.hang_up()

        assert await sipp == ""
        await ours.settled()


@pytest.mark.parametrize("carriage", ["straight", "dispatched"])
async def test_a_far_end_that_does_not_listen_ends_the_call(carriage: Carriage) -> None:
    async with house(carriage=carriage) as ours:
        leg = await place(ours, free_port(), "tcp")
        with pytest.raises(LegEndedError):
            await leg.answer()

        assert await leg.receive() == LegEnded(EndCause.FAILED, "no answer to INVITE: transport")
        await ours.settled()


async def test_a_name_is_resolved() -> None:
    async with house() as ours:
        leg = await ours.endpoints[0].place_call(f"sip:far@localhost:{free_port()};transport=tcp")
        with pytest.raises(LegEndedError):
            await leg.answer()

        # It came as far as a socket: to an address, where nobody listens.
        assert await leg.receive() == LegEnded(EndCause.FAILED, "no answer to INVITE: transport")
        await ours.settled()
