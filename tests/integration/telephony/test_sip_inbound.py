"""SIPp calls the bot: over UDP and TCP, straight and through the dispatcher."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import uvloop

from telephony.leg import DigitReceived, EndCause, HoldChanged, LegEnded
from telephony.sip.timers import Timings
from tests.integration.telephony.sip_house import (
    Bot,
    Carriage,
    answer,
    answer_and_hang_up,
    call,
    house,
    let_ring,
)

QUICK = Timings(t1_s=0.03, t2_s=0.2, t4_s=0.3)

everywhere = pytest.mark.parametrize(
    ("carriage", "transport"),
    [("straight", "udp"), ("straight", "tcp"), ("dispatched", "udp"), ("dispatched", "tcp")],
)


@everywhere
async def test_twenty_calls_at_ten_a_second_all_go_well(carriage: Carriage, transport: str, tmp_path: Path) -> None:
    async with house(carriage=carriage) as ours:
        assert await call(ours.port, "uac_call", folder=tmp_path, transport=transport, calls=20) == ""
        await ours.settled()

        assert ours.ends() == [LegEnded(EndCause.CALLER_HUNG_UP)] * 20
        busy = [len(media.opened) for media in ours.media[: len(ours.endpoints)]]
        assert sum(busy) == 20
        assert all(busy)


@everywhere
@pytest.mark.parametrize(
    ("scenario", "bot", "cause"),
    [
        ("uac_hung_up", answer_and_hang_up, EndCause.BOT_HUNG_UP),
        ("uac_cancel", let_ring, EndCause.CANCELLED),
        ("uac_late_offer", answer, EndCause.CALLER_HUNG_UP),
    ],
)
async def test_a_call_ends_as_its_sides_have_it(
    carriage: Carriage, transport: str, scenario: str, bot: Bot, cause: EndCause, tmp_path: Path
) -> None:
    async with house(bot, carriage=carriage) as ours:
        assert await call(ours.port, scenario, folder=tmp_path, transport=transport) == ""
        await ours.settled()

        assert ours.ends() == [LegEnded(cause)]


@everywhere
async def test_hold_and_resume_are_answered_the_right_way_round(
    carriage: Carriage, transport: str, tmp_path: Path
) -> None:
    async with house(carriage=carriage) as ours:
        assert await call(ours.port, "uac_hold", folder=tmp_path, transport=transport) == ""
        await ours.settled()

        assert ours.told == [[HoldChanged(True), HoldChanged(False), LegEnded(EndCause.CALLER_HUNG_UP)]]


@everywhere
async def test_a_caller_whose_ack_is_lost_is_hung_up(carriage: Carriage, transport: str, tmp_path: Path) -> None:
    async with house(carriage=carriage, timings=QUICK) as ours:
        assert await call(ours.port, "uac_lost_ack", folder=tmp_path, transport=transport) == ""
        await ours.settled()

        assert ours.ends() == [LegEnded(EndCause.NO_ACK, "the 200 was never acknowledged")]


@everywhere
@pytest.mark.parametrize("scenario", ["uac_options", "uac_wrong_sdp", "uac_no_codec", "uac_required"])
async def test_what_begins_no_call_is_answered_and_forgotten(
    carriage: Carriage, transport: str, scenario: str, tmp_path: Path
) -> None:
    async with house(carriage=carriage) as ours:
        assert await call(ours.port, scenario, folder=tmp_path, transport=transport) == ""
        await ours.settled()

        assert ours.told == []


@everywhere
async def test_a_full_house_says_503(carriage: Carriage, transport: str, tmp_path: Path) -> None:
    async with house(carriage=carriage) as ours:
        ours.has_room = False
        assert await call(ours.port, "uac_busy", folder=tmp_path, transport=transport) == ""

        ours.has_room = True
        assert await call(ours.port, "uac_call", folder=tmp_path, transport=transport) == ""
        await ours.settled()


@everywhere
async def test_a_caller_with_the_password_gets_in(carriage: Carriage, transport: str, tmp_path: Path) -> None:
    async with house(carriage=carriage, users={"aysel": "gizli"}) as ours:
        assert await call(ours.port, "uac_digest", folder=tmp_path, transport=transport) == ""
        await ours.settled()

        assert ours.ends() == [LegEnded(EndCause.CALLER_HUNG_UP)]


@everywhere
async def test_keys_pressed_by_info_arrive_once_each(carriage: Carriage, transport: str, tmp_path: Path) -> None:
    async with house(carriage=carriage) as ours:
        assert await call(ours.port, "uac_keys", folder=tmp_path, transport=transport) == ""
        await ours.settled()

        assert ours.told == [[DigitReceived("7", 160), DigitReceived("#", 160), LegEnded(EndCause.CALLER_HUNG_UP)]]


@everywhere
def test_calls_go_well_on_uvloop_too(carriage: Carriage, transport: str, tmp_path: Path) -> None:
    async def calls() -> None:
        async with house(carriage=carriage) as ours:
            assert await call(ours.port, "uac_call", folder=tmp_path, transport=transport, calls=10, rate=50) == ""
            await ours.settled()
            assert len(ours.ends()) == 10

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(calls())


async def test_calls_over_udp_and_tcp_at_once_do_not_mind_each_other(tmp_path: Path) -> None:
    async with house(carriage="dispatched") as ours:
        folders = [tmp_path / transport for transport in ("udp", "tcp")]
        for folder in folders:
            folder.mkdir()
        results = await asyncio.gather(
            *(call(ours.port, "uac_call", folder=folder, transport=folder.name, calls=5) for folder in folders)
        )
        await ours.settled()

        assert results == ["", ""]
        assert len(ours.ends()) == 10
