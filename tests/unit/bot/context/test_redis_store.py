from __future__ import annotations

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError, WatchError

from bot.context.conversation import Conversation, Speaker, Turn
from bot.context.redis_store import RedisConversationStore, connect
from bot.context.store import ConversationLimits
from bot.errors import ConversationError


def turn(turn_id: str, text: str = "Salam, Şəki!", heard_s: float | None = None) -> Turn:
    return Turn(turn_id, Speaker.BOT, text, 1_795_000_000.25, 2.04, heard_s)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def redis(server: FakeServer) -> FakeAsyncRedis:
    return FakeAsyncRedis(server=server)


@pytest.fixture
def store(redis: FakeAsyncRedis) -> RedisConversationStore:
    return RedisConversationStore(redis, ttl_s=900, limits=ConversationLimits(max_turns=3))


async def test_turns_come_back_as_they_were_and_in_their_order(store) -> None:
    turns = (turn("t2"), Turn("t1", Speaker.CALLER, 'Dırnaq " \n', 0.1, 0.0), turn("t3", "", 0.5))
    for said in turns:
        await store.append("c", said)

    assert await store.load("c") == Conversation("c", turns)


async def test_a_turn_said_again_goes_to_the_end(store) -> None:
    for name in ("t1", "t2", "t1"):
        await store.append("c", turn(name))

    assert [t.turn_id for t in (await store.load("c")).turns] == ["t2", "t1"]


async def test_a_call_does_not_grow_beyond_its_limits(store, redis) -> None:
    for n in range(6):
        await store.append("c", turn(f"t{n}"))

    assert [t.turn_id for t in (await store.load("c")).turns] == ["t3", "t4", "t5"]
    assert await redis.hlen("zeng:call:c") == 3


async def test_every_key_expires_after_its_last_change(store, redis) -> None:
    await store.append("c", turn("t1"))
    assert await redis.ttl("zeng:call:c") == 900
    await redis.expire("zeng:call:c", 5)

    await store.append("c", turn("t2"))

    assert await redis.ttl("zeng:call:c") == 900


async def test_what_is_not_known_leaves_no_key(store, redis) -> None:
    assert not await store.forget("nobody")

    assert await store.load("nobody") == Conversation("nobody")
    assert await redis.keys() == []


async def test_a_call_that_is_forgotten_is_gone(store, redis) -> None:
    await store.append("c", turn("t1"))

    assert await store.forget("c")

    assert await redis.keys() == []


async def test_a_change_that_loses_to_another_is_made_again(store, redis, monkeypatch) -> None:
    other = RedisConversationStore(redis, ttl_s=900)
    fields, lost = store._fields, 0

    async def raced(client, call_id):
        nonlocal lost
        found = await fields(client, call_id)
        if lost < 2:
            lost += 1
            await other.append("c", turn(f"other{lost}"))
        return found

    monkeypatch.setattr(store, "_fields", raced)
    await store.append("c", turn("mine"))

    assert [t.turn_id for t in (await other.load("c")).turns] == ["other1", "other2", "mine"]


async def test_a_change_that_always_loses_gives_up(store, redis, monkeypatch) -> None:
    fields = store._fields

    async def raced(client, call_id):
        found = await fields(client, call_id)
        await redis.hincrby("zeng:call:c", "races", 1)
        return {name: value for name, value in found.items() if name != b"races"}

    monkeypatch.setattr(store, "_fields", raced)
    with pytest.raises(ConversationError, match="too many"):
        await store.append("c", turn("mine"))

    assert await redis.hget("zeng:call:c", "races") == b"4"


async def test_a_change_whose_answer_comes_late_while_it_watches_is_made_again(store, redis, monkeypatch) -> None:
    execute, late = Pipeline.immediate_execute_command, 0

    async def hesitating(pipe, *command, **options):
        nonlocal late
        if command[0] == "HGETALL" and late < 2:
            late += 1
            raise WatchError("A TimeoutError occurred while watching one or more keys")  # as redis-py says it
        return await execute(pipe, *command, **options)

    monkeypatch.setattr(Pipeline, "immediate_execute_command", hesitating)
    await store.append("c", turn("mine"))

    assert late == 2
    assert [t.turn_id for t in (await store.load("c")).turns] == ["mine"]


async def test_what_went_wrong_is_named_without_what_was_said(store, redis, monkeypatch) -> None:
    async def unwell(*_: object) -> None:
        raise ResponseError("unknown command, with args beginning with: 'Salam'")

    monkeypatch.setattr(redis, "hgetall", unwell)
    with pytest.raises(ConversationError, match=r"^Redis: ResponseError$"):
        await store.load("c")


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.append("c", turn("t1")),
        lambda store: store.load("c"),
        lambda store: store.forget("c"),
    ],
)
async def test_a_redis_that_is_away_is_a_conversation_error(store, server, ask) -> None:
    server.connected = False

    with pytest.raises(ConversationError, match="Redis"):
        await ask(store)


async def test_the_client_does_not_wait_or_try_again() -> None:
    settings = connect("redis://127.0.0.1:1/0", timeout_ms=120).connection_pool.connection_kwargs

    assert (settings["socket_timeout"], settings["socket_connect_timeout"]) == (0.12, 0.12)
    assert settings["retry"].get_retries() == 0
