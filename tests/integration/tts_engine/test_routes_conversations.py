"""`/v1/audio/conversations/...`, by plain HTTP."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.fakes.speech import FakeBackend
from tests.fakes.speech_server import speech_server
from tts_engine.engine.store import StoreUnavailableError

TURNS = "/v1/audio/conversations/call-1/turns"


@asynccontextmanager
async def serving(backend: FakeBackend | None = None, **options):
    async with (
        speech_server(backend or FakeBackend(), **options) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as http,
    ):
        yield server, http


async def test_a_turn_is_put_cut_and_forgotten() -> None:
    audio = {"data": base64.b64encode(bytes(16_000)).decode(), "sample_rate": 8000}
    async with serving() as (server, http):
        put = await http.put(f"{TURNS}/u1", json={"turn_id": "u1", "text": "bir iki", "audio": audio})
        assert (put.status_code, put.content) == (204, b"")
        assert (await http.patch(f"{TURNS}/u1", json={"heard_s": 0.5})).status_code == 204
        (turn,) = await server.store.load("call-1")
        assert (turn.role, turn.text, turn.duration_s, len(turn.codes)) == ("user", "bir", 0.5, 6 * 64)

        assert (await http.delete(f"{TURNS}/u1")).status_code == 204
        assert await server.store.load("call-1") == ()
        await http.put(f"{TURNS}/u2", json={"turn_id": "u2", "text": "Salam"})
        assert (await http.delete("/v1/audio/conversations/call-1")).status_code == 204
        assert await server.store.load("call-1") == ()


async def test_what_is_not_known_may_be_cut_and_forgotten() -> None:
    async with serving() as (_, http):
        assert (await http.patch(f"{TURNS}/b9", json={"heard_s": 1})).status_code == 204
        assert (await http.delete(f"{TURNS}/b9")).status_code == 204
        assert (await http.delete("/v1/audio/conversations/nobody")).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "body", "param"),
    [
        ("PUT", f"{TURNS}/u1", {"turn_id": "u2", "text": "Salam"}, "turn_id"),
        ("PUT", f"{TURNS}/u1", {"turn_id": "u1", "text": "Salam", "mood": 1}, "mood"),
        ("PUT", f"{TURNS}/u1", {"turn_id": "u1", "text": "Salam", "audio": {"data": "YWJj"}}, "audio.data"),
        ("PUT", "/v1/audio/conversations/a%20b/turns/u1", {"turn_id": "u1", "text": "Salam"}, "conversation_id"),
        ("PATCH", f"{TURNS}/u1", {"heard_s": -1}, "heard_s"),
        ("DELETE", "/v1/audio/conversations/a%20b", None, "conversation_id"),
    ],
)
async def test_what_is_wrong_is_422_and_named(method: str, path: str, body: dict | None, param: str) -> None:
    async with serving() as (_, http):
        response = await http.request(method, path, json=body)

    assert response.status_code == 422
    assert response.json()["error"]["param"] == param


class Away:
    async def load(self, conversation_id):
        raise StoreUnavailableError("Redis: gone")

    async def edit(self, conversation_id, edit):
        raise StoreUnavailableError("Redis: gone")

    async def ping(self):
        raise StoreUnavailableError("Redis: gone")

    async def close(self):
        pass


async def test_a_store_that_is_away_is_503_here_and_costs_speech_nothing() -> None:
    async with serving(store=Away()) as (_, http):
        put = await http.put(f"{TURNS}/u1", json={"turn_id": "u1", "text": "Salam"})
        said = await http.post(
            "/v1/audio/speech", json={"input": "Salam", "response_format": "pcm", "conversation": {"id": "call-1"}}
        )

    assert (put.status_code, put.headers["retry-after"]) == (503, "1")
    assert put.json()["error"]["code"] == "unavailable"
    assert said.status_code == 200
