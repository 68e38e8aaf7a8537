"""The speech server's memory in real servers of Redis's protocol."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.redis_server import KINDS, RunningRedis, redis_server
from tests.fakes.speech import FakeBackend
from tests.fakes.speech_server import speech_server
from tests.waiting import HUNG_S
from tts_engine.backend.port import SpokenTurn
from tts_engine.client import SpeechClient
from tts_engine.engine.redis_store import RedisConversationStore, connect
from tts_engine.engine.store import StoreUnavailableError
from tts_engine.protocol import ConversationContext, ConversationTurn, SpeechRequest, TurnAudio


@pytest.fixture(params=KINDS)
def redis(request, tmp_path):
    with redis_server(request.param, tmp_path) as running:
        yield running


def store_of(redis: RunningRedis, *, timeout_s: float = 5.0) -> RedisConversationStore:
    return RedisConversationStore(connect(redis.url, timeout_s=timeout_s), ttl_s=900)


def turn(turn_id: str) -> SpokenTurn:
    return SpokenTurn(turn_id, "assistant", "Şəki", 0.64, bytes(range(256)) * 2)


async def test_a_server_that_restarted_goes_on_with_the_conversation(redis) -> None:
    before, after = FakeBackend(), FakeBackend()
    context = ConversationContext(id="call-1", turn_id="b1")
    async with speech_server(before, store=store_of(redis)) as server, SpeechClient(server.url) as client:
        audio = TurnAudio(data=bytes(32_000))
        await client.put_turn("call-1", ConversationTurn(turn_id="u1", text="Salam", audio=audio))
        async for _ in client.speak(SpeechRequest(text="Buyurun", conversation=context)):
            pass
        await client.heard("call-1", "b1", 0.4)

    async with speech_server(after, store=store_of(redis)) as server, SpeechClient(server.url) as client:
        async for _ in client.speak(SpeechRequest(text="Davam", conversation=ConversationContext(id="call-1"))):
            pass

    user, bot = after.asked[0].context
    assert (user.text, len(user.codes)) == ("Salam", 12 * 64)
    assert (bot.text, len(bot.codes)) == ("Buyurun", 5 * 64)


async def test_turns_come_back_byte_for_byte_and_expire(redis) -> None:
    store, client = store_of(redis), connect(redis.url, timeout_s=5)
    await store.edit("c", lambda turns: (*turns, turn("t1")))
    await store.edit("c", lambda turns: (*turns, turn("t2")))

    assert await store.load("c") == (turn("t1"), turn("t2"))
    assert 890 < await client.ttl("zeng:codes:c") <= 900
    await store.forget("c")
    assert await client.exists("zeng:codes:c") == 0
    await store.close()
    await client.aclose()


async def test_edits_of_two_servers_at_once_all_count(redis) -> None:
    one, two = store_of(redis), store_of(redis)

    await asyncio.gather(
        one.edit("c", lambda turns: (*turns, turn("t1"))), two.edit("c", lambda turns: (*turns, turn("t2")))
    )

    assert {t.turn_id for t in await one.load("c")} == {"t1", "t2"}
    await one.close()
    await two.close()


async def test_a_redis_that_does_not_answer_costs_context_and_a_tenth_of_a_second(redis) -> None:
    backend = FakeBackend()
    store = store_of(redis, timeout_s=0.1)
    async with speech_server(backend, store=store) as server, SpeechClient(server.url) as client:
        redis.stop_answering()
        async with asyncio.timeout(HUNG_S):  # without a limit of its own it would wait for good
            spoken = [
                pcm async for pcm in client.speak(SpeechRequest(text="Salam", conversation=ConversationContext(id="c")))
            ]

        assert spoken
        assert backend.asked[0].context == ()
        assert server.count("store_errors_total") >= 1
        redis.answer_again()


async def test_without_redis_it_fails_at_once() -> None:
    store = RedisConversationStore(connect("redis://127.0.0.1:9/0", timeout_s=0.1), ttl_s=900)

    with pytest.raises(StoreUnavailableError):
        await store.load("c")
    await store.close()
