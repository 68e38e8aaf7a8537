"""What a page tells of its call that goes on, from the public API down to the worker's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from bot.edge.links import OfferAnswer
from bot.web.app import Info, WebParts, web_app
from bot.worker_api import WorkerParts, WorkerRenewal, WorkerStatus, worker_api
from telephony.errors import LegEndedError, SdpError

CALL = "0" * 32


def client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://zeng")


@dataclass
class Edge:
    """The edge behind the public API."""

    renewals: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def offer(self, sdp: str) -> OfferAnswer:
        return OfferAnswer(200, {})

    async def renew(self, renewal: dict[str, Any]) -> OfferAnswer:
        self.renewals.append(renewal)
        return OfferAnswer(200, {"sdp": "v=0"})

    async def metrics(self) -> bytes:
        return b""

    def api(self) -> httpx.AsyncClient:
        servers = {"iceServers": [{"urls": ["turn:x"], "username": "u", "credential": "c"}]}
        info = Info(flow="", recogniser="", understanding="", voice="", sip_uri="")
        parts = WebParts(
            info=info, offer=self.offer, renew=self.renew, ice=lambda: servers, ready=lambda: None, metrics=self.metrics
        )
        return client(web_app(parts))


async def test_candidates_and_restarts_are_passed_on() -> None:
    edge = Edge()
    async with edge.api() as api:
        trickled = await api.patch(
            "/api/offer", json={"call_id": CALL, "candidates": ["1 1 udp 1 192.0.2.1 9 typ host"]}
        )
        restarted = await api.patch("/api/offer", json={"call_id": CALL, "sdp": "v=0"})

    assert (trickled.status_code, restarted.json()) == (200, {"sdp": "v=0"})
    assert edge.renewals[0]["candidates"] == ["1 1 udp 1 192.0.2.1 9 typ host"]
    assert edge.renewals[1]["sdp"] == "v=0"


@pytest.mark.parametrize(
    "body", [{}, {"call_id": "../x"}, {"call_id": CALL, "candidates": ["x"] * 33}, {"call_id": CALL, "other": 1}]
)
async def test_what_is_no_renewal_is_refused(body: dict[str, Any]) -> None:
    edge = Edge()
    async with edge.api() as api:
        response = await api.patch("/api/offer", json=body)

    assert (response.status_code, edge.renewals) == (422, [])


async def test_the_page_is_given_its_servers() -> None:
    async with Edge().api() as api:
        response = await api.get("/api/ice")

    assert response.json()["iceServers"][0]["username"] == "u"
    assert response.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("outcome", "status", "body"),
    [
        ("", 200, {}),
        ("v=0", 200, {"sdp": "v=0", "type": "answer", "call_id": CALL}),
        (LegEndedError("there is no such call here"), 404, {"detail": "there is no such call here"}),
        (SdpError("no audio"), 488, {"detail": "no audio"}),
    ],
)
async def test_a_worker_says_what_came_of_it(outcome: str | Exception, status: int, body: dict[str, Any]) -> None:
    async def renew(renewal: WorkerRenewal) -> str:
        assert renewal.call_id == CALL
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def offer(sdp: str) -> tuple[str, str]:
        return sdp, CALL

    async def hang_up() -> None:
        raise AssertionError("nobody asked for it")

    parts = WorkerParts(
        offer=offer, renew=renew, status=lambda: WorkerStatus(capacity=1, active=0), drain=lambda: None,
        hang_up=hang_up, registry=CollectorRegistry(),
    )  # fmt: skip
    async with client(worker_api(parts)) as api:
        response = await api.patch("/offer", json={"call_id": CALL})

    assert (response.status_code, response.json()) == (status, body)
