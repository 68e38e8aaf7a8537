"""SIPp as a PBX moves the bot's call to somebody else, or is moved to a second call of the bot's (RFC 5589)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from telephony.leg import CallLeg, EndCause, LegEnded
from tests.integration.telephony.sip_house import Carriage, House, answer, answer_and_hang_up, call, house
from tests.waiting import HUNG_S

everywhere = pytest.mark.parametrize(
    ("carriage", "transport"),
    [("straight", "udp"), ("straight", "tcp"), ("dispatched", "udp"), ("dispatched", "tcp")],
)


def causes(ours: House) -> list[EndCause]:
    return [end.cause for end in ours.ends() if isinstance(end, LegEnded)]


@everywhere
async def test_a_pbx_refers_the_bot_to_an_operator_and_the_conversation_goes_on_there(
    carriage: Carriage, transport: str, tmp_path: Path
) -> None:
    async with house(answer_and_hang_up) as operator, house(carriage=carriage, accept_refer="listed") as ours:
        keys = {"target": f"127.0.0.1:{operator.port}"}
        assert await call(ours.port, "uac_refers", folder=tmp_path, transport=transport, keys=keys) == ""
        await ours.settled()
        await operator.settled()

        # One call of the bot's, which ended when the operator hung up; its media had moved there.
        assert causes(ours) == [EndCause.CALLER_HUNG_UP]
        assert causes(operator) == [EndCause.BOT_HUNG_UP]
        media = next(media for factory in ours.media for media in factory.opened)
        assert media.applied[-1].remote_port == operator.media[0].opened[0].local_port


@everywhere
async def test_a_second_call_of_a_pbx_takes_the_place_of_its_first(
    carriage: Carriage, transport: str, tmp_path: Path
) -> None:
    async with house(carriage=carriage, accept_replaces=True, trusted_peers=("127.0.0.0/8",)) as ours:
        assert await call(ours.port, "uac_replaces", folder=tmp_path, transport=transport) == ""
        await ours.settled()

        assert causes(ours) == [EndCause.CALLER_HUNG_UP]


@pytest.mark.parametrize("carriage", ["straight", "dispatched"])
async def test_a_caller_is_handed_to_the_far_end_of_a_second_call(carriage: Carriage, tmp_path: Path) -> None:
    second: list[LegEnded] = []

    async def hand_over(leg: CallLeg) -> None:
        await leg.answer()
        endpoint = next(endpoint for endpoint in ours.endpoints if endpoint.call_count)
        other = await endpoint.place_call(operator.uri())
        await other.answer()
        await leg.transfer("", consult=other)
        while not isinstance(event := await other.receive(), LegEnded):
            pass
        second.append(event)

    async with house(answer, accept_replaces=True) as operator, house(hand_over, carriage=carriage) as ours:
        keys = {"target": operator.port, "bot": ours.port}
        assert await call(ours.port, "uac_attended", folder=tmp_path, keys=keys) == ""
        async with asyncio.timeout(HUNG_S):
            await ours.settled()
            await operator.settled()

        assert causes(ours) == [EndCause.TRANSFERRED]
        assert [end.cause for end in second] == [EndCause.CALLER_HUNG_UP]  # its place at the operator was taken
        assert causes(operator) == [EndCause.CALLER_HUNG_UP]
