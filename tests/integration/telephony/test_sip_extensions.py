"""What SIPp and the bot do beyond RFC 3261: PRACK, UPDATE, session timers, transfer, redirects."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from telephony.errors import TransferFailedError
from telephony.leg import CallLeg, EndCause, HoldChanged, LegEnded
from telephony.media import MediaParameters
from telephony.sip.call_limits import CallLimits
from tests.integration.telephony.sip_house import Carriage, answer, call, far_end, house

everywhere = pytest.mark.parametrize(("carriage", "transport"), [("straight", "tcp"), ("dispatched", "udp")])
OPERATOR = "sip:operator@127.0.0.1:5999"


@everywhere
@pytest.mark.parametrize("scenario", ["uac_prack", "uac_brief", "uac_referring", "uac_race"])
async def test_a_caller_with_wishes_of_its_own_is_served(
    scenario: str, carriage: Carriage, transport: str, tmp_path: Path
) -> None:
    async with house(carriage=carriage) as ours:
        assert await call(ours.port, scenario, folder=tmp_path, transport=transport) == ""
        await ours.settled()

        assert ours.ends() == [LegEnded(EndCause.CALLER_HUNG_UP)]


@everywhere
async def test_hold_by_update_is_answered_the_right_way_round(
    carriage: Carriage, transport: str, tmp_path: Path
) -> None:
    async with house(carriage=carriage) as ours:
        assert await call(ours.port, "uac_update", folder=tmp_path, transport=transport) == ""
        await ours.settled()

        assert ours.told == [[HoldChanged(True), HoldChanged(False), LegEnded(EndCause.CALLER_HUNG_UP)]]


@everywhere
async def test_a_long_call_is_refreshed_again_and_again(carriage: Carriage, transport: str, tmp_path: Path) -> None:
    async with house(carriage=carriage, limits=CallLimits(session_s=2)) as ours:
        assert await call(ours.port, "uac_long", folder=tmp_path, transport=transport) == ""
        await ours.settled()

        assert ours.ends() == [LegEnded(EndCause.CALLER_HUNG_UP)]


@everywhere
async def test_a_caller_is_handed_over(carriage: Carriage, transport: str, tmp_path: Path) -> None:
    async def hand_over(leg: CallLeg) -> None:
        await leg.answer()
        await leg.transfer(OPERATOR)

    async with house(hand_over, carriage=carriage) as ours:
        assert await call(ours.port, "uac_refer", folder=tmp_path, transport=transport) == ""
        await ours.settled()

        assert ours.ends() == [LegEnded(EndCause.TRANSFERRED)]


@everywhere
async def test_a_caller_whose_operator_is_busy_stays(carriage: Carriage, transport: str, tmp_path: Path) -> None:
    failures: list[int] = []

    async def hand_over(leg: CallLeg) -> None:
        await leg.answer()
        try:
            await leg.transfer(OPERATOR)
        except TransferFailedError as error:
            failures.append(error.status)
        await leg.hang_up()

    async with house(hand_over, carriage=carriage) as ours:
        assert await call(ours.port, "uac_refer_busy", folder=tmp_path, transport=transport) == ""
        await ours.settled()

        assert (failures, ours.ends()) == ([486], [LegEnded(EndCause.BOT_HUNG_UP)])


@everywhere
@pytest.mark.parametrize(("scenario", "early"), [("uas_prack", 1), ("uas_moved", 0)])
async def test_a_far_end_that_rings_reliably_or_has_moved_is_reached(
    scenario: str, early: int, carriage: Carriage, transport: str, tmp_path: Path
) -> None:
    async with (
        house(answer, carriage=carriage) as ours,
        far_end(scenario, folder=tmp_path, transport=transport) as (port, sipp),
    ):
        leg = await ours.endpoints[-1].place_call(f"sip:far@127.0.0.1:{port};transport={transport}", caller="bot")
        await leg.answer()
        await asyncio.sleep(0.05)
        await leg.hang_up()

        assert await sipp == ""
        applied: list[MediaParameters] = ours.media[len(ours.endpoints) - 1].opened[0].applied
        assert applied == [replace(applied[0])] * (1 + early)
        await ours.settled()
