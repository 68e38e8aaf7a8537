"""Our own side over Debian's coturn: the bot asks for its relay, and credentials end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telephony.errors import LocalProtocolError
from telephony.settings import WebRtcSettings
from telephony.webrtc.aiortc_seam import Peer, PeerHandlers
from telephony.webrtc.turn import IceServer, ice_servers
from tests.e2e.coturn import RELAY_PORTS, SECRET, coturn
from tests.fakes.webrtc import call, pitch, play, tone


@pytest.fixture
async def relayed(tmp_path: Path) -> AsyncIterator[WebRtcSettings]:
    async with coturn(tmp_path) as port:
        yield WebRtcSettings(
            turn_urls=(f"turn:127.0.0.1:{port}?transport=udp",),
            turn_secret=SECRET,  # type: ignore[arg-type]  # pydantic makes a SecretStr of it
            own_relay_only=True,
        )


async def test_a_bot_that_no_udp_reaches_is_called_by_its_relay(relayed: WebRtcSettings) -> None:
    made = await call(settings=relayed)
    pair = made.bot._session._peer._connection._nominated[1]
    assert (pair.local_candidate.type, pair.local_candidate.port in RELAY_PORTS) == ("relay", True)

    sending = asyncio.gather(play(made.caller, tone(440, 75)), play(made.bot, tone(660, 75)))
    at_bot, at_caller = await asyncio.gather(made.at_bot.hear_loud(60), made.at_caller.hear_loud(60))
    await sending
    await made.close()

    assert pitch(at_bot[10:]) == pytest.approx(440, abs=2)
    assert pitch(at_caller[10:]) == pytest.approx(660, abs=2)


def peer_with(servers: tuple[IceServer, ...]) -> Peer:
    handlers = PeerHandlers(*[lambda *_: None] * 6)
    return Peer(handlers, offering=False, servers=servers, hosts=(), allow_loopback=True, relay_only=True)


async def test_credentials_are_good_until_they_end_and_not_after(relayed: WebRtcSettings) -> None:
    now = time.time()
    good = peer_with(ice_servers(relayed, name="bot", now_unix_s=now - relayed.turn_ttl_s + 60))
    await good.gather()
    relay = good.parameters("passive").candidates
    assert [("relay" in line, "127.0.0.1" in line) for line in relay] == [(True, True)]
    await good.close()

    ended = peer_with(ice_servers(relayed, name="bot", now_unix_s=now - relayed.turn_ttl_s - 60))
    with pytest.raises(LocalProtocolError, match="turn_secret"):
        await ended.gather()
    await ended.close()


async def test_whoever_lengthens_his_own_credentials_is_refused(relayed: WebRtcSettings) -> None:
    (server,) = ice_servers(relayed, name="page", now_unix_s=time.time() - relayed.turn_ttl_s - 60)
    longer = IceServer(server.urls, f"{int(time.time()) + 3600}:page", server.credential)
    forger = peer_with((longer,))
    with pytest.raises(LocalProtocolError):
        await forger.gather()
    await forger.close()
