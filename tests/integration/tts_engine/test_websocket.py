"""What a client may make the server's WebSocket hold."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from urllib.parse import urlsplit

from tests.fakes.speech import FakeBackend
from tests.fakes.speech_server import speech_server
from tests.waiting import HUNG_S
from tts_engine.websocket import MAX_WAITING_BYTES

HANDSHAKE = (
    b"GET /v1/audio/speech/stream HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n\r\n"
)
ONE_READ_BYTES = 262_144  # asyncio's: the answers to what was read at once go out at once
PING = b"\x89\xfd\0\0\0\0" + b"p" * 125


async def test_pings_that_nobody_reads_the_answers_of_do_not_pile_up() -> None:
    async with speech_server(FakeBackend()) as server:
        address = urlsplit(server.url)
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((address.hostname, address.port))
        reader, writer = await asyncio.open_connection(sock=client, limit=4096)
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")

        try:
            for _ in range(200):  # 5 MB
                writer.write(PING * 200)
                await asyncio.wait_for(writer.drain(), HUNG_S)  # the server reads them all

            (connection,) = server.server.server_state.connections
            assert connection.transport.get_write_buffer_size() < MAX_WAITING_BYTES + ONE_READ_BYTES
        finally:
            writer.transport.abort()


async def test_a_connection_that_is_gone_leaves_nothing_for_the_collector() -> None:
    async with speech_server(FakeBackend()) as server:
        address = urlsplit(server.url)
        gc.disable()
        try:
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(HANDSHAKE)
            await reader.readuntil(b"\r\n\r\n")
            (connection,) = server.server.server_state.connections
            gone = weakref.ref(connection.conn)
            del connection

            writer.transport.abort()
            async with asyncio.timeout(HUNG_S):
                while server.server.server_state.connections or server.server.server_state.tasks:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            assert gone() is None
        finally:
            gc.enable()
