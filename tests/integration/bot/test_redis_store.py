"""The bot's memory in real servers of Redis's protocol."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from bot.context.conversation import Conversation, Speaker, Turn
from bot.context.redis_store import RedisConversationStore, connect
from bot.errors import ConversationError
from tests.fakes.redis_server import KINDS, RunningRedis, redis_server


@pytest.fixture(params=KINDS)
def redis(request, tmp_path):
    with redis_server(request.param, tmp_path) as running:
        yield running


@pytest.fixture
async def store(redis: RunningRedis):
    store = RedisConversationStore(connect(redis.url, timeout_ms=5000), ttl_s=900)
    yield store
    await store.close()


def turn(turn_id: str, speaker: Speaker = Speaker.BOT) -> Turn:
    return Turn(turn_id, speaker, "Şəki, Göyçay və Ağdam", 1_795_000_000.25, 2.04)


async def test_another_process_finds_what_was_said(redis, store) -> None:
    await store.append("call-1", turn("u1", Speaker.CALLER))
    await store.append("call-1", replace(turn("b1"), heard_s=0.75))
    await store.close()

    after = RedisConversationStore(connect(redis.url, timeout_ms=5000), ttl_s=900)

    caller, bot = (await after.load("call-1")).turns
    assert caller == turn("u1", Speaker.CALLER)
    assert (bot.text, bot.heard_s) == ("Şəki, Göyçay və Ağdam", 0.75)
    await after.close()


async def test_keys_expire(redis, store) -> None:
    brief = RedisConversationStore(connect(redis.url, timeout_ms=5000), ttl_s=1)
    await brief.append("call-1", turn("b1"))
    client = connect(redis.url, timeout_ms=5000)

    assert 0 < await client.pttl("zeng:call:call-1") <= 1000
    await client.pexpire("zeng:call:call-1", 1)
    await asyncio.sleep(0.05)  # the server's clock, not ours

    assert await store.load("call-1") == Conversation("call-1")
    await brief.close()
    await client.aclose()


async def test_changes_from_two_workers_at_once_all_count(redis, store) -> None:
    other = RedisConversationStore(connect(redis.url, timeout_ms=5000), ttl_s=900)

    await asyncio.gather(store.append("call-1", turn("b1")), other.append("call-1", turn("b2")))

    assert {t.turn_id for t in (await store.load("call-1")).turns} == {"b1", "b2"}
    await other.close()


async def test_a_call_that_is_forgotten_is_gone(store) -> None:
    await store.append("call-1", turn("b1"))

    await store.forget("call-1")

    assert await store.load("call-1") == Conversation("call-1")


async def test_a_redis_that_does_not_answer_costs_a_tenth_of_a_second(redis, store) -> None:
    await store.append("call-1", turn("b1"))
    hasty = RedisConversationStore(connect(redis.url, timeout_ms=100), ttl_s=900)
    redis.stop_answering()

    began = time.monotonic()
    with pytest.raises(ConversationError):
        await hasty.load("call-1")

    assert time.monotonic() - began < 1.0  # on a busy machine
    redis.answer_again()
    await hasty.close()
    assert (await store.load("call-1")).turns == (turn("b1"),)


async def test_without_redis_it_fails_at_once() -> None:
    store = RedisConversationStore(connect("redis://127.0.0.1:9/0"), ttl_s=900)

    with pytest.raises(ConversationError):
        await store.append("call-1", turn("b1"))
    await store.close()
