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


async def test_the_call_moves_to_another_way_without_a_word_lost(tmp_path: Path, microphone: Path) -> None:
    async with (
        page_server() as server,
        chromium(tmp_path, microphone=microphone) as browser,
        browser.page() as page,
    ):
        ears = await call(page, server)
        assert await heard(ears) > 10
        peer = ears.leg._session._peer  # type: ignore[attr-defined]
        before = peer._connection._nominated[1].remote_addr, peer._connection._nominated[1].protocol
        talking = asyncio.create_task(play(ears.leg, tone(660, 500)))

        await page.evaluate("window.dispatchEvent(new Event('online'))")
        try:
          async with asyncio.timeout(20):
            while peer._connection._nominated[1].protocol is before[1]:
                await asyncio.sleep(0.05)
        except TimeoutError:
            print("RENEWALS", [(list(r), len(r.get("sdp",""))) for r in server.renewals])
            for r in server.renewals: print(r)
            print("NEXT", peer._next, "FORMER", peer._former, "state", await page.evaluate("document.body.dataset.state"), page.errors)
            n = peer._next and peer._next[1]
            if n:
                print("check list", n._check_list, n._check_list_state, n.remote_candidates, n.local_candidates, n.ice_controlling, n._check_list_done)
            print("restarting task", ears.leg._session._restarting)
            raise

        assert any("sdp" in renewal for renewal in server.renewals)
        assert await heard(ears) > 10
        await asyncio.sleep(1)
        assert await page.evaluate("document.body.dataset.state") in ("listening", "speaking", "hearing")
        assert ears.ended is None
        talking.cancel()
        await ears.leg.hang_up()
        await ears.end()
        assert page.errors == []
