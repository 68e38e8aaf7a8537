"""Requests that do not come, by real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from starlette.responses import StreamingResponse
from structlog.testing import capture_logs
from websockets.asyncio.client import connect

from tests.waiting import HUNG_S
from tts_engine.listener import listen
from tts_engine.punctual_http import punctual_http

LIMIT_S = 0.2
LONGER_S = 3 * LIMIT_S
GET = b"GET /now HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/now")
    async def now() -> str:
        return "now"

    @app.get("/long")
    async def long() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"a"
            await asyncio.sleep(LONGER_S)
            yield b"z"

        return StreamingResponse(pieces())

    @app.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.send_text(await websocket.receive_text())

    return app


@dataclass(frozen=True)
class Peer:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> bytes:
        """The head and whatever body it announces."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), HUNG_S)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head + await self.reader.readexactly(length)

    async def until_closed(self) -> bytes:
        try:
            return await asyncio.wait_for(self.reader.read(), HUNG_S)
        except ConnectionResetError:
            return b""


@dataclass(frozen=True)
class Server:
    port: int

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Peer(reader, writer)
        finally:
            writer.close()


@asynccontextmanager
async def serving(*, request_timeout_s: float = LIMIT_S, most_connections: int = 100) -> AsyncIterator[Server]:
    http = punctual_http(request_timeout_s=request_timeout_s, most_connections=most_connections)
    config = uvicorn.Config(application(), http=http, log_level="error", timeout_keep_alive=60)
    running = uvicorn.Server(config)
    listener = listen("127.0.0.1", 0, dead_after_s=60)
    until_exit = asyncio.create_task(running.serve(sockets=[listener]))
    yield Server(listener.getsockname()[1])
    running.should_exit = True
    await until_exit
    listener.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET /now HTTP/1.1\r\nhost: x\r\n", POST, POST + b"123"])
async def test_a_request_that_does_not_come_whole_is_cut_off(server: Server, sent: bytes) -> None:
    async with server.peer() as peer:
        peer.writer.write(sent)

        assert await peer.until_closed() == b""


@pytest.mark.parametrize("later", [b"G", GET[:-2], POST + b"123"])
async def test_nor_does_a_later_request_of_a_connection_get_longer(server: Server, later: bytes) -> None:
    async with server.peer() as peer:
        peer.writer.write(GET)
        await peer.answer()
        await asyncio.sleep(LONGER_S)  # idle is uvicorn's business: here for a minute
        peer.writer.write(GET)
        assert b'"now"' in await peer.answer()
        peer.writer.write(later)

        assert await peer.until_closed() == b""


async def test_a_head_that_dribbles_in_wins_no_time(server: Server) -> None:
    async with server.peer() as peer:
        closed = asyncio.create_task(peer.until_closed())
        async with asyncio.timeout(HUNG_S):
            while not closed.done():
                peer.writer.write(b"G")
                await asyncio.sleep(LIMIT_S / 10)

        assert await closed == b""


async def test_a_request_in_pieces_that_come_in_time_is_answered(server: Server) -> None:
    async with server.peer() as peer:
        for piece in (POST[:9], POST[9:], b"12", b"34"):
            peer.writer.write(piece)
            await asyncio.sleep(0)

        assert (await peer.answer()).endswith(b"\r\n\r\n4")


async def test_an_answer_may_take_longer_than_a_request(server: Server) -> None:
    async with server.peer() as peer:
        peer.writer.write(GET.replace(b"now", b"long").replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))

        assert b"z" in (await peer.until_closed()).partition(b"\r\n\r\n")[2]


async def test_a_second_request_may_wait_behind_a_long_answer(server: Server) -> None:
    async with server.peer() as peer:
        peer.writer.write(GET.replace(b"now", b"long") + GET)

        answers = await asyncio.wait_for(peer.reader.readuntil(b'"now"'), HUNG_S)

    assert answers.count(b"HTTP/1.1 200") == 2


async def test_a_websocket_outlives_the_limit(server: Server) -> None:
    async with connect(f"ws://127.0.0.1:{server.port}/socket", proxy=None) as socket:
        await asyncio.sleep(LONGER_S)
        await socket.send("still here")

        assert await asyncio.wait_for(socket.recv(), HUNG_S) == "still here"


async def test_more_connections_than_there_is_room_for_are_told_so_and_harm_none_of_the_others() -> None:
    async with (
        serving(request_timeout_s=HUNG_S, most_connections=2) as server,
        connect(f"ws://127.0.0.1:{server.port}/socket") as talking,
        server.peer() as idle,
    ):
        with capture_logs() as logged:
            for _ in range(3):
                async with server.peer() as one_more:
                    assert (await one_more.until_closed()).startswith(
                        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1"
                    )
        assert [(line["event"], line["count"]) for line in logged] == [("connections_turned_away", 1)]
        await talking.send("still here")
        assert await talking.recv() == "still here"

        idle.writer.write(GET.replace(b"host", b"connection: close\r\nhost"))
        assert b'"now"' in await idle.until_closed()
        async with server.peer() as next_one:
            next_one.writer.write(GET)
            assert b'"now"' in await next_one.answer()
