"""The client and the server over real sockets."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager

import pytest
from websockets.asyncio.server import serve

from tests.fakes.speech import FRAME_BYTES, FakeBackend, tone
from tests.fakes.speech_server import speech_server
from tests.waiting import HUNG_S
from tts_engine.client import SpeechClient, SpeechTimeouts
from tts_engine.engine.engine import EngineLimits
from tts_engine.errors import (
    SpeechCapacityError,
    SpeechEngineError,
    SpeechRequestError,
    SpeechSilenceError,
    SpeechUnavailableError,
)
from tts_engine.protocol import (
    AudioStart,
    ConversationContext,
    ConversationTurn,
    ErrorMessage,
    SessionDone,
    SpeechRequest,
    TurnAudio,
)

SALAM = SpeechRequest(text="Salam")
NOWHERE = "http://127.0.0.1:9"  # discard: nobody listens there


async def spoken(client: SpeechClient, request: SpeechRequest = SALAM) -> bytes:
    return b"".join([pcm async for pcm in client.speak(request)])


def said(text: str) -> bytes:
    return b"".join(tone(text, n) for n in range(len(text)))


async def test_what_the_voice_makes_is_what_the_client_hears() -> None:
    async with speech_server(FakeBackend()) as server, SpeechClient(server.url) as client:
        assert await spoken(client) == said("Salam")


async def test_one_connection_carries_utterance_after_utterance() -> None:
    async with speech_server(FakeBackend()) as server, SpeechClient(server.url, warm_links=1) as client:
        for text in ("bir", "iki", "üç"):
            assert await spoken(client, SpeechRequest(text=text)) == said(text)

        assert server.count("connections") <= 2  # the one that spoke, and the one kept warm


async def test_utterances_at_once_do_not_mix() -> None:
    texts = [f"mətn {n}" for n in range(6)]
    async with speech_server(FakeBackend()) as server, SpeechClient(server.url) as client:
        heard = await asyncio.gather(*(spoken(client, SpeechRequest(text=text)) for text in texts))

    assert heard == [said(text) for text in texts]


async def test_closing_the_generator_stops_the_voice_and_keeps_the_connection() -> None:
    backend = FakeBackend(streams=1, hold_at=2)
    async with speech_server(backend) as server, SpeechClient(server.url, warm_links=1) as client:
        async with aclosing(client.speak(SALAM)) as audio:
            assert await anext(audio) == tone("Salam", 0)
            await backend.held.wait()
        backend.hold_at = None

        # The server has one place: that it speaks again shows that the first was given up.
        assert await spoken(client, SpeechRequest(text="Bəli")) == said("Bəli")
        assert len(backend.aborted) == 1


async def test_cancelling_the_task_stops_the_voice() -> None:
    backend = FakeBackend(hold_at=0)
    async with speech_server(backend) as server, SpeechClient(server.url) as client:
        task = asyncio.create_task(spoken(client))
        await backend.held.wait()

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.engine.drained(), HUNG_S)

        assert len(backend.aborted) == 1
        backend.hold_at = None
        assert await spoken(client) == said("Salam")


async def test_a_wrong_request_is_blamed_on_its_field_and_the_connection_lives() -> None:
    async with speech_server(FakeBackend()) as server, SpeechClient(server.url) as client:
        with pytest.raises(SpeechRequestError) as caught:
            await spoken(client, SpeechRequest(text="Salam", voice="zeynal"))
        assert caught.value.field == "voice"

        assert await spoken(client) == said("Salam")


async def test_no_free_place_is_said_at_once_with_a_hint() -> None:
    backend = FakeBackend(hold_at=0)
    limits = EngineLimits(max_streams=1, retry_after_s=2.5)
    async with speech_server(backend, limits=limits) as server, SpeechClient(server.url) as client:
        busy = asyncio.create_task(spoken(client))
        await backend.held.wait()

        with pytest.raises(SpeechCapacityError) as caught:
            await spoken(client)
        assert caught.value.retry_after_s == 2.5

        backend.go_on.set()
        assert await busy == said("Salam")
        assert await spoken(client) == said("Salam")


async def test_a_voice_that_breaks_in_the_middle_is_an_engine_error_after_what_was_made() -> None:
    backend = FakeBackend(fail_at=2)
    async with speech_server(backend) as server, SpeechClient(server.url) as client:
        audio = client.speak(SALAM)
        heard = await anext(audio) + await anext(audio)

        assert heard == said("Salam")[: 2 * FRAME_BYTES]
        with pytest.raises(SpeechEngineError, match="cuda died"):
            await anext(audio)
        backend.fail_at = None
        assert await spoken(client) == said("Salam")


async def test_without_a_server_it_fails_at_once() -> None:
    async with SpeechClient(NOWHERE) as client:
        with pytest.raises(SpeechUnavailableError, match="no speech server answers"):
            await spoken(client)
        with pytest.raises(SpeechUnavailableError):
            await client.forget("c")
        assert not await client.ready()


async def test_a_password_in_the_address_is_in_no_error() -> None:
    async with SpeechClient(NOWHERE.replace("://", "://bot:geheim@")) as client:
        with pytest.raises(SpeechUnavailableError, match="no speech server answers at ws://127") as failed:
            await spoken(client)

    assert "geheim" not in str(failed.value)


async def test_a_server_that_restarted_is_met_again_without_an_error() -> None:
    async with speech_server(FakeBackend()) as first:
        client = SpeechClient(first.url, warm_links=3)
        async with client:
            assert await spoken(client) == said("Salam")
            await first.stop()
            with pytest.raises(SpeechUnavailableError):
                await spoken(client)

            async with speech_server(FakeBackend(), port=int(first.url.rpartition(":")[2])):
                assert await spoken(client) == said("Salam")


async def test_a_voice_that_says_nothing_in_time_is_given_up() -> None:
    backend = FakeBackend(hold_at=0)
    timeouts = SpeechTimeouts(first_audio_s=0.1)
    async with speech_server(backend) as server, SpeechClient(server.url, timeouts=timeouts) as client:
        with pytest.raises(SpeechEngineError, match="in time"):
            await spoken(client)
        await asyncio.wait_for(server.engine.drained(), HUNG_S)

        assert len(backend.aborted) == 1


async def test_a_server_that_takes_a_connection_and_says_nothing_has_no_more_time_than_one_that_is_silent() -> None:
    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    timeouts = SpeechTimeouts(connect_s=HUNG_S, first_audio_s=0.1)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, SpeechClient(url, warm_links=0, timeouts=timeouts) as client:
        with pytest.raises(SpeechSilenceError):
            await spoken(client)
        for writer in taken:
            writer.close()


async def test_a_voice_that_falls_silent_in_the_middle_is_given_up() -> None:
    timeouts = SpeechTimeouts(between_chunks_s=0.1)
    async with speech_server(FakeBackend(hold_at=2)) as server, SpeechClient(server.url, timeouts=timeouts) as client:
        with pytest.raises(SpeechEngineError, match="in time"):
            await spoken(client)


@asynccontextmanager
async def other_server(answer):
    async def handle(socket) -> None:
        await answer(socket)

    async with serve(handle, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_link_that_breaks_in_the_middle_is_unavailable() -> None:
    async def break_off(socket) -> None:
        await socket.recv()
        await socket.send(b"ab")
        socket.transport.abort()

    async with other_server(break_off) as url, SpeechClient(url, warm_links=0) as client:
        with pytest.raises(SpeechUnavailableError, match="broke"):
            await spoken(client)


async def test_a_server_of_another_kind_is_found_out() -> None:
    async def greet(socket) -> None:
        await socket.send('{"hello": "world"}')
        await socket.wait_closed()

    async with other_server(greet) as url, SpeechClient(url, warm_links=0) as client:
        with pytest.raises(SpeechUnavailableError, match="no speech server of ours"):
            await spoken(client)


async def test_a_server_that_never_confirms_a_cancel_is_not_used_again() -> None:
    connections = 0

    async def deaf(socket) -> None:
        nonlocal connections
        connections += 1
        await socket.send(b"ab")
        await socket.wait_closed()

    timeouts = SpeechTimeouts(cancel_s=0.05)
    async with other_server(deaf) as url, SpeechClient(url, warm_links=0, timeouts=timeouts) as client:
        for _ in range(2):
            async with aclosing(client.speak(SALAM)) as audio:
                await anext(audio)
        await client.close()

    assert connections == 2


async def test_a_server_full_of_what_we_just_cancelled_is_asked_again() -> None:
    refused = asyncio.Event()
    start = AudioStart(utterance_index=0, sentence_text="", sample_rate=24_000, turn_id="t").model_dump_json()
    done = SessionDone(utterance_index=0, total_sentences=1).model_dump_json()
    full = ErrorMessage(message="full", code="at_capacity").model_dump_json()
    connections = 0

    async def one_place(socket) -> None:
        nonlocal connections
        connections += 1
        first = connections == 1
        for _ in ("session.config", "input.text", "input.done"):
            await socket.recv()
        if connections == 2:
            await socket.send(full)
            await socket.close(1013)
            refused.set()
            return
        await socket.send(start)
        await socket.send(b"ab")
        if first:
            assert "input.cancel" in await socket.recv()
            await refused.wait()
        await socket.send(done)
        await socket.wait_closed()

    async with other_server(one_place) as url, SpeechClient(url, warm_links=0, max_idle_links=0) as client:
        async with aclosing(client.speak(SALAM)) as audio:
            await anext(audio)

        assert await spoken(client) == b"ab"
    assert connections == 3


async def test_a_server_that_is_full_is_not_asked_again_once_the_caller_has_waited_long_enough() -> None:
    full = ErrorMessage(message="full", code="at_capacity").model_dump_json()
    connections = 0

    async def never_confirms(socket) -> None:
        nonlocal connections
        connections += 1
        first = connections == 1
        for _ in ("session.config", "input.text", "input.done"):
            await socket.recv()
        await socket.send(b"ab" if first else full)
        await socket.wait_closed()

    timeouts = SpeechTimeouts(cancel_s=2.0, first_audio_s=0.2)
    async with other_server(never_confirms) as url, SpeechClient(url, warm_links=0, timeouts=timeouts) as client:
        async with aclosing(client.speak(SALAM)) as audio:
            await anext(audio)
        with pytest.raises(SpeechCapacityError, match="full"):
            async with asyncio.timeout(1.5):
                await spoken(client)
    assert connections == 2


async def test_a_voice_full_of_what_we_just_cancelled_is_asked_again_though_its_server_had_begun() -> None:
    start = AudioStart(utterance_index=0, sentence_text="", sample_rate=24_000, turn_id="t").model_dump_json()
    done = SessionDone(utterance_index=0, total_sentences=1).model_dump_json()
    full = ErrorMessage(message="full", code="at_capacity").model_dump_json()
    connections, confirmed = 0, asyncio.Event()

    async def one_place(socket) -> None:
        nonlocal connections
        connections += 1
        number = connections
        for _ in ("session.config", "input.text", "input.done"):
            await socket.recv()
        await socket.send(start)
        if number == 2:
            await confirmed.wait()  # by the time of this answer nothing is unsettled any more
            await socket.send(full)
            await socket.close(1013)
            return
        await socket.send(b"ab")
        if number == 1:
            assert "input.cancel" in await socket.recv()
            await socket.send(done)
            await socket.wait_closed()  # the client has read it
            confirmed.set()
        await socket.send(done)
        await socket.wait_closed()

    async with other_server(one_place) as url, SpeechClient(url, warm_links=0, max_idle_links=0) as client:
        async with aclosing(client.speak(SALAM)) as audio:
            await anext(audio)

        assert await spoken(client) == b"ab"
    assert connections == 3


async def test_closing_the_client_ends_what_is_spoken() -> None:
    backend = FakeBackend(hold_at=1)
    async with speech_server(backend) as server:
        client = SpeechClient(server.url)
        speaking = asyncio.create_task(spoken(client))
        await backend.held.wait()

        await client.close()

        with pytest.raises(SpeechUnavailableError):
            await speaking
        with pytest.raises(SpeechUnavailableError, match="closed"):
            await spoken(client)


async def test_the_conversation_is_put_cut_and_forgotten() -> None:
    backend = FakeBackend()
    async with speech_server(backend) as server, SpeechClient(server.url) as client:
        audio = TurnAudio(data=bytes(32_000))
        await client.put_turn("call-1", ConversationTurn(turn_id="u1", text="Salam", audio=audio))
        context = ConversationContext(id="call-1", turn_id="b1")
        await spoken(client, SpeechRequest(text="bir iki", conversation=context))
        await client.heard("call-1", "b1", 0.24)

        user, bot = await server.store.load("call-1")
        assert (user.text, len(user.codes)) == ("Salam", 12 * 64)
        assert (bot.text, len(bot.codes)) == ("bir", 3 * 64)
        await client.forget("call-1")
        assert await server.store.load("call-1") == ()


async def test_news_of_a_barge_in_right_after_it_leaves_what_was_heard() -> None:
    backend = FakeBackend(hold_at=6)
    async with speech_server(backend) as server, SpeechClient(server.url) as client:
        context = ConversationContext(id="call-1", turn_id="b1")
        async with aclosing(client.speak(SpeechRequest(text="bir iki", conversation=context))) as audio:
            await anext(audio)
            await backend.held.wait()
        await client.heard("call-1", "b1", 0.24)

        (bot,) = await server.store.load("call-1")
        assert len(bot.codes) == 3 * 64


async def test_voices_and_readiness_are_told() -> None:
    backend = FakeBackend()
    async with speech_server(backend) as server, SpeechClient(server.url) as client:
        assert await client.voices() == ("az", "az-low")
        assert await client.hears_conversation()
        assert await client.ready()
        backend.down = "loading weights"
        assert not await client.ready()
        with pytest.raises(SpeechUnavailableError, match="loading weights"):
            await spoken(client)
