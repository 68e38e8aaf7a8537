"""`WS /v1/audio/speech/stream`, message by message."""

from __future__ import annotations

import asyncio
import json
import socket as socketlib
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.fakes.speech import FRAME_BYTES, FakeBackend, tone
from tests.fakes.speech_server import speech_server
from tests.waiting import HUNG_S
from tts_engine.engine.engine import EngineLimits
from tts_engine.routes_stream import StreamLimits


def said(text: str) -> bytes:
    return b"".join(tone(text, n) for n in range(len(text)))


@asynccontextmanager
async def connected(backend: FakeBackend | None = None, **options):
    async with speech_server(backend or FakeBackend(), **options) as server, socket_to(server) as socket:
        yield server, socket


def socket_to(server, **options) -> connect:
    return connect(f"{server.url.replace('http', 'ws')}/v1/audio/speech/stream", proxy=None, **options)


async def send(socket: ClientConnection, *messages: dict) -> None:
    for message in messages:
        await socket.send(json.dumps(message))


async def say(socket: ClientConnection, text: str, **config) -> None:
    done = {"type": "input.done"}
    await send(socket, {"type": "session.config", **config}, {"type": "input.text", "text": text}, done)


async def answers(socket: ClientConnection) -> tuple[list[dict], bytes]:
    """Everything up to session.done."""
    told: list[dict] = []
    audio = b""
    while not told or told[-1]["type"] != "session.done":
        message = await asyncio.wait_for(socket.recv(), HUNG_S)
        if isinstance(message, bytes):
            audio += message
        else:
            told.append(json.loads(message))
    return told, audio


async def test_a_vllm_omni_client_speaks_unchanged() -> None:
    config = {
        "voice": "az",
        "response_format": "pcm",
        "stream_audio": True,
        "split_granularity": "none",
        "language": "az",
    }
    async with connected() as (_, socket):
        await send(socket, {"type": "session.config", **config})
        for piece in ("Sal", "am."):
            await send(socket, {"type": "input.text", "text": piece})
        await send(socket, {"type": "input.done"})

        told, audio = await answers(socket)

        assert [message["type"] for message in told] == ["audio.start", "audio.done", "session.done"]
        assert (told[0]["sentence_text"], told[0]["sample_rate"], told[0]["format"]) == ("Salam.", 24_000, "pcm")
        assert (told[1]["utterance_index"], told[1]["total_bytes"], told[1]["error"]) == (0, len(audio), False)
        assert told[2] == {"type": "session.done", "utterance_index": 0, "total_sentences": 1}
        assert audio == said("Salam.")
        await send(socket, {"type": "session.close"})
        await asyncio.wait_for(socket.wait_closed(), HUNG_S)
        assert socket.close_code == 1000


async def test_audio_comes_at_the_rate_that_was_asked() -> None:
    async with connected() as (_, socket):
        await say(socket, "Salam", sample_rate=8000)
        told, audio = await answers(socket)

    assert (told[0]["sample_rate"], len(audio)) == (8000, 8000 * 4 // 10 * 2)
    assert told[1]["duration_s"] == 0.4


async def test_a_cancel_is_answered_at_once_and_the_next_utterance_is_whole() -> None:
    backend = FakeBackend(streams=1, hold_at=2)
    async with connected(backend) as (server, socket):
        await say(socket, "Salam")
        await backend.held.wait()
        await send(socket, {"type": "input.cancel"})

        told, audio = await answers(socket)
        assert told[-2]["cancelled"] is True
        assert audio == said("Salam")[: 2 * FRAME_BYTES]

        backend.hold_at = None
        await say(socket, "Bəli")
        told, audio = await answers(socket)
        assert (told[0]["utterance_index"], audio) == (1, said("Bəli"))
        assert len(backend.aborted) == 1
        assert server.count("utterances_total", outcome="cancelled") == 1


async def test_what_a_voice_heard_before_is_told_at_the_end() -> None:
    async with connected() as (_, socket):
        for turn_id in ("b1", "b2"):
            await say(socket, "Salam", conversation={"id": "call-1", "turn_id": turn_id})
            told, _ = await answers(socket)

    assert told[1]["turn_id"] == "b2"
    assert told[1]["context_used"] == {"turns": 1, "seconds": 0.4, "cached_frames": 3}


async def test_an_unknown_field_is_named_and_nothing_is_spoken_under_settings_that_were_refused() -> None:
    backend = FakeBackend()
    async with connected(backend) as (_, socket):
        await say(socket, "Salam", tempo=2)
        told, audio = await answers(socket)

    assert [message["type"] for message in told] == ["error", "session.done"]
    assert (told[0]["code"], told[0]["param"]) == ("invalid_request", "tempo")
    assert (audio, backend.asked) == (b"", [])


async def test_binary_frames_are_refused_and_the_connection_lives() -> None:
    async with connected() as (_, socket):
        await socket.send(b"RIFF")
        assert json.loads(await socket.recv())["code"] == "invalid_request"

        await say(socket, "Salam")
        assert (await answers(socket))[1] == said("Salam")


async def test_no_free_place_is_an_error_and_closes_with_try_again_later() -> None:
    backend = FakeBackend(hold_at=0)
    async with connected(backend, limits=EngineLimits(max_streams=1)) as (server, busy):
        await say(busy, "Salam")
        await backend.held.wait()

        async with socket_to(server) as socket:
            await say(socket, "Bəli")
            error = json.loads(await socket.recv())
            assert (error["code"], error["retry_after_s"]) == ("at_capacity", 1.0)
            await asyncio.wait_for(socket.wait_closed(), HUNG_S)
            assert socket.close_code == 1013
        backend.go_on.set()
        assert (await answers(busy))[1] == said("Salam")


async def test_a_connection_too_many_is_turned_away() -> None:
    limits = StreamLimits(max_connections=1)
    async with connected(stream_limits=limits) as (server, _), socket_to(server) as socket:
        assert json.loads(await socket.recv())["code"] == "at_capacity"
        await asyncio.wait_for(socket.wait_closed(), HUNG_S)

        assert socket.close_code == 1013
        assert server.count("connections") == 1


async def test_an_idle_connection_is_closed_but_not_one_that_speaks() -> None:
    backend = FakeBackend(hold_at=1)
    async with connected(backend, stream_limits=StreamLimits(idle_timeout_s=0.1)) as (_, socket):
        await say(socket, "Salam")
        await backend.held.wait()
        await asyncio.sleep(0.3)  # three times the limit passes while it speaks: that time is the test
        backend.go_on.set()

        assert (await answers(socket))[1] == said("Salam")
        await asyncio.wait_for(socket.wait_closed(), HUNG_S)
        assert (socket.close_code, socket.close_reason) == (1000, "idle")


async def test_a_client_that_breaks_off_stops_the_voice() -> None:
    backend = FakeBackend(hold_at=1)
    async with connected(backend) as (server, socket):
        await say(socket, "Salam")
        await backend.held.wait()

        socket.transport.abort()
        await asyncio.wait_for(server.engine.drained(), HUNG_S)

        assert len(backend.aborted) == 1


async def test_a_client_that_takes_nothing_is_cut_and_slows_nobody() -> None:
    backend = FakeBackend()
    limits = StreamLimits(stall_timeout_s=0.2, send_buffer_bytes=32_768)
    async with connected(backend, stream_limits=limits) as (server, socket):
        slow = await slow_connection(server)
        await say(slow, "a" * 2000)  # 8 MB, of which the client reads a few messages
        assert json.loads(await slow.recv())["type"] == "audio.start"

        await say(socket, "Salam")
        assert (await answers(socket))[1] == said("Salam")
        await asyncio.wait_for(server.engine.drained(), HUNG_S)

        assert server.count("slow_clients_total") == 1
        assert len(backend.aborted) == 1
        # Made for the slow client: what it read, what the kernel held, and no more than the bound.
        assert backend.made_frames * FRAME_BYTES < 1_000_000
        slow.transport.abort()


async def slow_connection(server) -> ClientConnection:
    """A connection with a small window, whose client stops reading when one message waits."""
    sock = socketlib.socket()
    sock.setsockopt(socketlib.SOL_SOCKET, socketlib.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
    return await socket_to(server, max_queue=1, sock=sock)


async def test_a_bug_in_the_server_is_told_and_the_connection_lives(monkeypatch) -> None:
    backend = FakeBackend()
    async with connected(backend) as (_, socket):
        monkeypatch.setattr(backend, "generate", lambda request: 1 / 0)
        await say(socket, "Salam")
        told, _ = await answers(socket)
        assert (told[0]["code"], told[0]["message"]) == ("engine_error", "the speech server failed")

        monkeypatch.undo()
        await say(socket, "Salam")
        assert (await answers(socket))[1] == said("Salam")


async def test_a_server_that_drains_refuses_and_keeps_the_connection() -> None:
    async with connected() as (server, socket):
        server.engine.begin_drain()
        await say(socket, "Salam")

        told, _ = await answers(socket)

        assert told[0]["code"] == "unavailable"


async def test_a_second_utterance_before_the_end_of_the_first_is_refused() -> None:
    backend = FakeBackend(hold_at=1)
    async with connected(backend) as (_, socket):
        await say(socket, "Salam")
        await backend.held.wait()
        await send(socket, {"type": "input.text", "text": "İkinci"})
        start = json.loads(await socket.recv())
        assert start["type"] == "audio.start"
        assert await socket.recv() == tone("Salam", 0)
        assert json.loads(await socket.recv())["code"] == "invalid_state"
        backend.go_on.set()

        assert (await answers(socket))[1] == said("Salam")[FRAME_BYTES:]


async def test_a_message_that_is_far_too_long_ends_the_connection() -> None:
    async with connected() as (_, socket):
        await send(socket, {"type": "input.text", "text": "a" * 20_000_000})

        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1009
