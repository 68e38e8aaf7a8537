from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from telephony.rtp.factory import RtpMediaFactory
from telephony.settings import RtpSettings, SipSettings
from telephony.sip.endpoint import SipEndpoint, serve_sip
from tests.e2e.caller import Caller
from tests.e2e.footprint import footprint, until_as_before
from tests.e2e.service import RunningService, running_service

CLIPS = Path(__file__).parents[1] / "data" / "speech"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """`zeng demo` with two workers, for all tests of a run; it must end cleanly."""
    settings = {
        "ZENG_WORKERS__COUNT": "2",
        "ZENG_SIP__OUTBOUND_ALLOWED": '["*@127.0.0.1"]',
        "ZENG_WEB__REQUEST_TIMEOUT_S": "3",
        "ZENG_RECOGNISER_SERVER__REQUEST_TIMEOUT_S": "3",
        "ZENG_TTS__BODY_TIMEOUT_S": "1.5",
    }
    with running_service(tmp_path_factory.mktemp("service"), **settings) as running:
        yield running


@pytest.fixture
async def nothing_left(service: RunningService) -> AsyncIterator[None]:
    """Hold a test to leaving no call, task, port, socket or lasting key in the service."""
    await service.idle()
    before = await footprint(service)
    yield
    await until_as_before(service, before)


class Phones:
    """Our own SIP callers, as many as wanted."""

    def __init__(self, endpoint: SipEndpoint, target: str) -> None:
        self._endpoint = endpoint
        self._target = target

    async def call(self, *, caller: str = "caller") -> Caller:
        leg = await self._endpoint.place_call(self._target, caller=caller)
        await leg.answer()
        return Caller(leg)


@asynccontextmanager
async def open_phones(target: str, *, port_min: int = 32000) -> AsyncIterator[Phones]:
    media = RtpMediaFactory(RtpSettings(port_min=port_min, port_max=port_min + 199))
    await media.start()
    endpoint, sockets = await serve_sip(
        SipSettings(port=0, outbound_allowed=("*@127.0.0.1",)), media=media, on_call=lambda leg: None
    )
    try:
        yield Phones(endpoint, target)
    finally:
        await endpoint.close()
        await sockets.close()
        await media.stop()
    assert media.ports_taken == 0


@pytest.fixture
async def phones(service: RunningService) -> AsyncIterator[Phones]:
    async with open_phones(service.sip) as opened:
        yield opened
