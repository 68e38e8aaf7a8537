"""The bot calls a target that has several servers, the first of which does not serve: SIPp, and a DNS server."""

from __future__ import annotations

from pathlib import Path

import pytest

from telephony.errors import CapacityError, LegEndedError
from telephony.leg import EndCause, LegEnded
from telephony.sip.flow import Flow
from telephony.sip.timers import Timings
from telephony.sip.trunk_events import TrunkRoute
from tests.integration.telephony.name_server import name_server
from tests.integration.telephony.sip_house import Carriage, far_end, free_port, house

QUICK = Timings(t4_s=0.5)  # so long a call is kept after a server that was silent
carried = pytest.mark.parametrize("carriage", ["straight", "dispatched"])


@carried
async def test_a_full_server_of_a_trunk_is_passed_over_and_left_alone_for_as_long_as_it_asks(
    carriage: Carriage, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    async with (
        house(carriage=carriage) as ours,
        far_end("uas_full", folder=tmp_path / "full") as (full, refusing),
        far_end("uas_answer", folder=tmp_path) as (port, answering),
    ):
        first, second = Flow("udp", "127.0.0.1", full), Flow("udp", "127.0.0.1", port)
        route = TrunkRoute(first, "127.0.0.1", "bot", others=(second,))
        leg = await ours.endpoints[0].place_call("sip:far@127.0.0.1", by=route)
        await leg.answer()
        await leg.hang_up()

        assert (await refusing, await answering) == ("", "")
        assert await leg.receive() == LegEnded(EndCause.BOT_HUNG_UP)
        with pytest.raises(CapacityError) as refused:
            await ours.endpoints[0].place_call("sip:far@127.0.0.1", by=TrunkRoute(first, "127.0.0.1", "bot"))
        assert 100 < refused.value.retry_after_s <= 120
        await ours.settled()


@carried
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_name_leads_past_a_server_that_is_dead_to_the_next_of_its_services(
    carriage: Carriage, transport: str, tmp_path: Path
) -> None:
    async with far_end("uas_answer", folder=tmp_path, transport=transport) as (port, answering):
        zone = f"_sip._{transport} SRV 10 0 {free_port()} pbx\n_sip._{transport} SRV 20 0 {port} pbx\npbx A 127.0.0.1\n"
        async with (
            name_server(zone) as dns,
            house(carriage=carriage, timings=QUICK, dns_servers=(dns.address,), failover_s=0.3) as ours,
        ):
            leg = await ours.endpoints[0].place_call("sip:far@example.az")
            await leg.answer()
            await leg.hang_up()

            assert await answering == ""
            await ours.settled()


async def test_a_callee_that_is_busy_is_not_called_again_at_another_server(tmp_path: Path) -> None:
    async with house() as ours, far_end("uas_busy", folder=tmp_path) as (port, busy):
        route = TrunkRoute(
            Flow("udp", "127.0.0.1", port), "127.0.0.1", "bot", others=(Flow("udp", "127.0.0.1", free_port()),)
        )
        leg = await ours.endpoints[0].place_call("sip:far@127.0.0.1", by=route)
        with pytest.raises(LegEndedError):
            await leg.answer()

        assert await busy == ""
        assert await leg.receive() == LegEnded(EndCause.FAILED, "486 Busy Here")
        await ours.settled()
