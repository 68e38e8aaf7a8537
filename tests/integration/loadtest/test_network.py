"""The network between, with a page's bot: its candidates are replaced and the caller's left out."""

from __future__ import annotations

import asyncio

import pytest

from bot.loadtest.impairment import GilbertElliott, NetworkModel
from bot.loadtest.network import RelayedTarget
from telephony.leg import AudioReceived, CallLeg, LegEnded
from telephony.settings import WebRtcSettings
from telephony.webrtc.caller import place_call
from telephony.webrtc.endpoint import WebRtcEndpoint
from tests.waiting import HUNG_S

pytestmark = pytest.mark.integration


async def test_a_pages_call_goes_through_the_relay_in_both_directions() -> None:
    tasks: set[asyncio.Task[None]] = set()

    async def take(leg: CallLeg) -> None:
        await leg.answer()
        while not isinstance(await leg.receive(), LegEnded):
            pass

    endpoint = WebRtcEndpoint(
        WebRtcSettings(hosts=("127.0.0.1",)), lambda leg: tasks.add(asyncio.create_task(take(leg))), max_legs=1
    )
    with RelayedTarget("http://127.0.0.1:1", NetworkModel(GilbertElliott.of(0.1, 1)), seed=2) as network:

        async def send_offer(sdp: str) -> str:
            hidden = network.hide_candidates(sdp)
            assert "a=candidate" not in hidden
            answer = network.relay_candidates((await endpoint.offer(hidden)).sdp)
            assert answer.count("a=candidate") == 1
            return answer

        leg = await place_call(send_offer, WebRtcSettings(hosts=("127.0.0.1",)))
        async with asyncio.timeout(HUNG_S):
            for _ in range(60):
                assert isinstance(await leg.receive(), AudioReceived)
        stats = leg.stats()
        await leg.hang_up()
        await asyncio.gather(*tasks)
        await endpoint.close()

    assert network.to_bot.passed > 30
    assert network.to_caller.passed > 30
    assert stats.lost > 0
