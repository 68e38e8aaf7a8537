"""HTTP to workers over their Unix sockets."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bot.edge.workers import WorkerPool

_POLL_S = 0.25
_ANSWER_S = 2.0  # a worker that takes longer hangs
_HANG_UP_S = 6.0  # as long as `Calls` gives its calls to end, and a second
_MAX_CALLS = 10_000  # remembered, to find the worker of a call that is told of later


@dataclass(frozen=True, slots=True)
class OfferAnswer:
    """What a worker said to an offer."""

    status: int
    body: dict[str, Any]
    retry_after_s: int | None = None


class WorkerLinks:
    """One HTTP client a worker; keeps the pool's counts current."""

    def __init__(self, sockets: dict[str, Path], pool: WorkerPool) -> None:
        self._pool = pool
        self._clients = {
            name: httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(uds=str(path)), base_url="http://worker", timeout=10.0
            )
            for name, path in sockets.items()
        }
        self._pollers: list[asyncio.Task[None]] = []
        self.flow_refused: str | None = None  # why the workers do not serve the flow file as it is now
        self._workers_of: OrderedDict[str, str] = OrderedDict()  # WebRTC calls, the latest last

    async def ready(self, name: str) -> bool:
        """Whether a worker serves calls; its places count from then on."""
        answer = await self._request(name, "GET", "/status")
        return answer is not None and self._reported(name, answer)

    def _reported(self, name: str, answer: httpx.Response) -> bool:
        """Count a worker's places by its status, or as lost where the answer is none."""
        try:
            status = answer.raise_for_status().json()
        except (httpx.HTTPStatusError, ValueError):
            self._pool.lost(name)
            return False
        self.flow_refused = status["flow_refused"]
        self._pool.report(name, capacity=status["capacity"], active=status["active"])
        return True

    def start(self) -> None:
        """Begin to ask for status."""
        self._pollers = [asyncio.create_task(self._poll(name)) for name in self._clients]

    async def close(self) -> None:
        """Stop asking."""
        for poller in self._pollers:
            poller.cancel()
        for client in self._clients.values():
            await client.aclose()

    async def offer(self, sdp: str) -> OfferAnswer:
        """Give a WebRTC offer to the worker with the most places."""
        name = self._pool.pick()
        if name is None:
            return OfferAnswer(503, {"detail": "all lines are busy"}, retry_after_s=5)
        try:
            response = await self._clients[name].post("/offer", json={"sdp": sdp})
        except httpx.HTTPError:
            self._pool.lost(name)
            return OfferAnswer(503, {"detail": "the line broke; call again"}, retry_after_s=1)
        retry_after = response.headers.get("retry-after")
        answer = OfferAnswer(response.status_code, response.json(), int(retry_after) if retry_after else None)
        if call_id := answer.body.get("call_id"):
            self._workers_of[call_id] = name
            if len(self._workers_of) > _MAX_CALLS:
                self._workers_of.popitem(last=False)
        return answer

    async def renew(self, renewal: dict[str, Any]) -> OfferAnswer:
        """Pass on what a page tells of its call: candidates found since, or an ICE restart."""
        name = self._workers_of.get(renewal["call_id"])
        if name is None:
            return OfferAnswer(404, {"detail": "there is no such call here"})
        try:
            response = await self._clients[name].patch("/offer", json=renewal)
        except httpx.HTTPError:
            self._pool.lost(name)
            return OfferAnswer(503, {"detail": "the line broke; call again"}, retry_after_s=1)
        return OfferAnswer(response.status_code, response.json())

    async def dial(self, request: dict[str, Any]) -> OfferAnswer:
        """Have the worker with the most places call somebody; the id that comes back names the worker too."""
        name = self._pool.pick()
        if name is None:
            return OfferAnswer(503, {"detail": "all lines are busy"}, retry_after_s=5)
        answer = await self._ask(name, "POST", "/calls", request)
        if answer.status == 201:
            return OfferAnswer(201, {"call_id": f"{name}.{answer.body['call_id']}"})
        return answer

    async def placed(self, name: str, method: str, call_id: str) -> OfferAnswer:
        """Ask the worker of a placed call about it."""
        if name not in self._clients or not call_id.isalnum():
            return OfferAnswer(404, {"detail": "no such call"})
        return await self._ask(name, method, f"/calls/{call_id}")

    async def _ask(self, name: str, method: str, path: str, body: dict[str, Any] | None = None) -> OfferAnswer:
        try:
            response = await self._clients[name].request(method, path, json=body)
        except httpx.HTTPError:
            self._pool.lost(name)
            return OfferAnswer(503, {"detail": "the line broke"}, retry_after_s=1)
        return OfferAnswer(response.status_code, response.json() if response.content else {})

    async def drain(self) -> None:
        """Ask every worker to take no more calls; their counts are of after that, with the call that has just come."""
        for name, answer in await self._each("POST", "/drain"):
            self._reported(name, answer)

    async def hang_up(self) -> None:
        """Have every worker end its calls; returns when they have."""
        await self._each("POST", "/hang_up", timeout_s=_HANG_UP_S)

    async def metrics(self) -> dict[str, str]:
        """Prometheus text of every worker that answers."""
        return {name: answer.text for name, answer in await self._each("GET", "/metrics")}

    async def calls(self) -> list[dict[str, Any]]:
        """Figures of the last calls of every worker that answers."""
        return [call for _, answer in await self._each("GET", "/calls") for call in answer.json()]

    async def _each(self, method: str, path: str, *, timeout_s: float = _ANSWER_S) -> list[tuple[str, httpx.Response]]:
        """Ask all workers at once: one that hangs is waited for, and only once."""
        asked = (self._request(name, method, path, timeout_s=timeout_s) for name in self._clients)
        answers = zip(self._clients, await asyncio.gather(*asked), strict=True)
        return [(name, answer) for name, answer in answers if answer is not None]

    async def _request(
        self, name: str, method: str, path: str, *, timeout_s: float = _ANSWER_S
    ) -> httpx.Response | None:
        """Ask one worker; None where it is away or hangs, and it gets no calls until it answers."""
        try:
            return await self._clients[name].request(method, path, timeout=timeout_s)
        except httpx.HTTPError:
            self._pool.lost(name)
            return None

    async def _poll(self, name: str) -> None:
        while True:
            await self.ready(name)
            await asyncio.sleep(_POLL_S)
