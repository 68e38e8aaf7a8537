"""Who may have the bot call somebody."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from bot.web.calls import CallsParts, Dial, calls_router


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: dict[str, object] = field(default_factory=dict[str, object])


class Worker:
    def __init__(self) -> None:
        self.dialled: list[Dial] = []

    async def dial(self, dial: Dial) -> Answer:
        self.dialled.append(dial)
        return Answer(201, {"call_id": "worker-0.abc"})

    async def status(self, call_id: str) -> Answer:
        return Answer(200, {"state": "ringing"}) if call_id == "worker-0.abc" else Answer(404, {"detail": "no"})

    async def hang_up(self, call_id: str) -> Answer:
        return Answer(204)


def client(worker: Worker, *, token: str = "", address: str = "127.0.0.1", version: str = "1.1") -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(calls_router(CallsParts(worker.dial, worker.status, worker.hang_up, token)))

    async def spoken(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "http_version": version}, receive, send)

    transport = httpx.ASGITransport(spoken, client=(address, 40_000))  # type: ignore[arg-type]  # httpx has types of its own
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860")


async def test_a_call_is_placed_followed_and_ended() -> None:
    worker = Worker()
    async with client(worker) as http:
        placed = await http.post("/api/calls", json={"target": "sip:a@b", "variables": {"name": "x"}})
        assert (placed.status_code, placed.json()) == (201, {"call_id": "worker-0.abc"})
        assert (await http.get("/api/calls/worker-0.abc")).json() == {"state": "ringing"}
        assert (await http.get("/api/calls/other")).status_code == 404
        assert (await http.delete("/api/calls/worker-0.abc")).status_code == 204
        assert (await http.post("/api/calls", json={"target": "sip:a@b", "shell": "x"})).status_code == 422

    assert worker.dialled == [Dial(target="sip:a@b", variables={"name": "x"})]


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.0.2.1", {}),
        ("testclient", {}),
        ("::1", {"Origin": "https://evil.example"}),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.1"}),
        ("127.0.0.1", {"Authorization": "Bearer guessed", "Via": "1.1 proxy"}),
        ("127.0.0.1", {"Host": "bot.example.az"}),  # of a proxy that passes it on, or of a name that leads here
    ],
)
async def test_without_a_token_only_this_machine_may(address: str, headers: dict[str, str]) -> None:
    worker = Worker()
    async with client(worker, address=address) as http:
        refused = await http.post("/api/calls", json={"target": "sip:a@b"}, headers=headers)

    assert (refused.status_code, worker.dialled) == (403, [])


async def test_nginx_which_says_nothing_of_itself_is_not_taken_for_this_machine() -> None:
    worker = Worker()
    async with client(worker, version="1.0") as http:
        refused = await http.post("/api/calls", json={"target": "sip:a@b"})

    assert (refused.status_code, worker.dialled) == (403, [])


@pytest.mark.parametrize("host", ["localhost:7860", "[::1]:7860", "127.0.0.5"])
async def test_this_machine_has_several_names(host: str) -> None:
    worker = Worker()
    async with client(worker) as http:
        placed = await http.post("/api/calls", json={"target": "sip:a@b"}, headers={"Host": host})

    assert placed.status_code == 201


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic gizli", "gizli"])
async def test_where_there_is_a_token_it_is_needed_everywhere(authorization: str) -> None:
    worker = Worker()
    async with client(worker, token="gizli") as http:
        refused = await http.post("/api/calls", json={"target": "a"}, headers={"Authorization": authorization})

    assert (refused.status_code, refused.headers["WWW-Authenticate"], worker.dialled) == (401, "Bearer", [])


async def test_with_the_token_anybody_may() -> None:
    worker = Worker()
    async with client(worker, token="gizli", address="192.0.2.1") as http:
        placed = await http.post("/api/calls", json={"target": "a"}, headers={"Authorization": "bearer gizli"})

    assert placed.status_code == 201
