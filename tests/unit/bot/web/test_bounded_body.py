"""Bodies that are longer than any that the API has a use for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bot.edge.links import OfferAnswer
from bot.web.app import Info, WebParts, web_app

PIECE = b" " * 65_536
MUCH = 160  # pieces: 10 MB


async def unwanted(*_: object) -> Any:
    raise AssertionError("nobody is to be asked")


async def answered(_: object) -> OfferAnswer:
    return OfferAnswer(200, {})


def client(*, offer: Any = unwanted) -> httpx.AsyncClient:
    info = Info(flow="", recogniser="", understanding="", voice="", sip_uri="")
    parts = WebParts(info=info, offer=offer, renew=unwanted, ice=dict, ready=lambda: None, metrics=unwanted)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=web_app(parts)), base_url="http://zeng")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_body_without_end_is_refused_and_read_no_further(method: str) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(MUCH):
            sent += 1
            yield PIECE

    async with client() as api:
        answer = await api.request(method, "/api/offer", content=body(), headers={"content-type": "application/json"})

    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert "524288 bytes" in answer.json()["detail"]
    assert sent < 12


async def test_the_longest_offer_that_there_can_be_is_taken() -> None:
    sdp = "\\u006d" * 64_000  # as a client may write it

    async with client(offer=answered) as api:
        answer = await api.post(
            "/api/offer",
            content=f'{{"type": "offer", "sdp": "{sdp}"}}',
            headers={"content-type": "application/json"},
        )

    assert answer.status_code == 200
