"""The page's way to the bot: over Debian's coturn alone, and onto another way in mid-call (Chromium)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from telephony.settings import WebRtcSettings
from tests.e2e.chromium import Page, chromium
from tests.e2e.coturn import RELAY_PORTS, SECRET, coturn
from tests.fakes.page_server import PageServer, page_server
from tests.fakes.webrtc import Ears, loudness, play, tone
from tests.waiting import HUNG_S

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def call(page: Page, server: PageServer) -> Ears:
    await page.open(server.url)
    await page.click("#talk")
    leg = await server.call()
    await page.wait_for("document.body.dataset.state === 'listening'")
    return Ears(leg)


async def heard(ears: Ears) -> int:
    """How many of the next frames are loud."""
    return sum(loudness([frame]) > 1_000 for frame in await ears.hear_loud(50))


@asynccontextmanager
async def relayed(tmp_path: Path, microphone: Path, **settings: Any) -> AsyncGenerator[Ears]:
    """A call of a page that has nothing but coturn's relay."""
    async with coturn(tmp_path) as port:
        relay = WebRtcSettings(
            turn_urls=(f"turn:127.0.0.1:{port}?transport=udp",), turn_secret=SECRET, relay_only=True, **settings
        )
        async with (
            page_server(relay) as server,
            chromium(tmp_path, microphone=microphone) as browser,
            browser.page() as page,
        ):
            ears = await call(page, server)
            assert await heard(ears) > 10
            yield ears
            await ears.leg.hang_up()


async def test_a_call_goes_over_turn_alone_with_credentials_for_a_while(tmp_path: Path, microphone: Path) -> None:
    async with relayed(tmp_path, microphone, hosts=("127.0.0.1",)) as ears:
        pair = ears.leg._session._peer._connection._nominated[1]  # type: ignore[attr-defined]
        assert pair.remote_addr[1] in RELAY_PORTS  # the page's relay, and no address of its own


async def test_both_sides_of_a_call_have_only_their_relays(tmp_path: Path, microphone: Path) -> None:
    async with relayed(tmp_path, microphone, own_relay_only=True) as ears:
        talking = asyncio.create_task(play(ears.leg, tone(660, 200)))
        pair = ears.leg._session._peer._connection._nominated[1]  # type: ignore[attr-defined]
        assert (pair.local_candidate.type, pair.local_candidate.port in RELAY_PORTS) == ("relay", True)
        assert pair.remote_addr[1] in RELAY_PORTS
        await ears.until(lambda: ears.leg.stats().mos_there is not None)  # Chromium hears us, and says how well
        talking.cancel()


@pytest.mark.parametrize(("lost_restarts", "answers_after_s"), [(0, 0.0), (1, 0.0), (0, 1.0)])
async def test_the_call_moves_to_another_way_without_a_word_lost(
    lost_restarts: int, answers_after_s: float, tmp_path: Path, microphone: Path
) -> None:
    async with (
        page_server() as server,
        chromium(tmp_path, microphone=microphone) as browser,
        browser.page() as page,
    ):
        server.lost_restarts, server.restart_answers_after_s = lost_restarts, answers_after_s
        ears = await call(page, server)
        assert await heard(ears) > 10
        peer = ears.leg._session._peer  # type: ignore[attr-defined]
        before = peer._connection._nominated[1].remote_addr, peer._connection._nominated[1].protocol
        talking = asyncio.create_task(play(ears.leg, tone(660, 500)))

        await page.evaluate("window.dispatchEvent(new Event('online'))")
        async with asyncio.timeout(HUNG_S):
            while peer._connection._nominated[1].protocol is before[1]:
                await asyncio.sleep(0.05)

        assert sum("sdp" in renewal for renewal in server.renewals) > lost_restarts
        assert await heard(ears) > 10
        await asyncio.sleep(1)
        assert await page.evaluate("document.body.dataset.state") in ("listening", "speaking", "hearing")
        assert ears.ended is None
        talking.cancel()
        await ears.leg.hang_up()
        await ears.end()
        assert sum("503" not in error for error in page.errors) == 0
