from __future__ import annotations

import asyncio

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError, WatchError

from tts_engine.backend.port import SpokenTurn
from tts_engine.engine.history import Turns
from tts_engine.engine.redis_store import RedisConversationStore
from tts_engine.engine.store import StoreUnavailableError

CODES = bytes(range(256)) * 2  # eight frames, every byte value


def turn(turn_id: str, text: str = "Salam, necəsən?", codes: bytes = CODES) -> SpokenTurn:
    return SpokenTurn(turn_id, "assistant", text, 0.64, codes)


def adding(*more: SpokenTurn):
    def edit(turns: Turns) -> Turns:
        return (*turns, *more)

    return edit


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def redis(server: FakeServer) -> FakeAsyncRedis:
    return FakeAsyncRedis(server=server)


@pytest.fixture
def store(redis: FakeAsyncRedis) -> RedisConversationStore:
    return RedisConversationStore(redis, ttl_s=900)


async def test_turns_come_back_as_they_were_byte_for_byte(store) -> None:
    of_two = SpokenTurn("t3", "assistant", "Salam. Hə?", 0.64, CODES, joints=((7, 256),))
    turns = (turn("t1"), SpokenTurn("t2", "user", "", 0.0), turn("t0", 'Dırnaq " və \n', b""), of_two)

    await store.edit("call-1", adding(*turns))

    assert await store.load("call-1") == turns


async def test_a_changed_turn_keeps_its_place(store) -> None:
    await store.edit("c", adding(turn("t1"), turn("t2")))

    await store.edit("c", lambda turns: (turn("t1", "Qısa"), *turns[1:], turn("t3")))

    assert [(t.turn_id, t.text) for t in await store.load("c")] == [
        ("t1", "Qısa"),
        ("t2", "Salam, necəsən?"),
        ("t3", "Salam, necəsən?"),
    ]


async def test_a_dropped_turn_is_gone_and_the_order_stays(store) -> None:
    await store.edit("c", adding(turn("t1"), turn("t2"), turn("t3")))

    await store.edit("c", lambda turns: (*turns[1:], turn("t4")))

    assert [t.turn_id for t in await store.load("c")] == ["t2", "t3", "t4"]


async def test_codes_take_64_bytes_a_frame(store, redis) -> None:
    await store.edit("c", adding(turn("t1", "a", codes=b""), turn("t2", "a")))

    bare, full = [len(await redis.hget("zeng:codes:c", name)) for name in ("t1", "t2")]

    assert full - bare == 8 * 64


async def test_every_key_expires_after_its_last_change(store, redis) -> None:
    await store.edit("c", adding(turn("t1")))
    await redis.expire("zeng:codes:c", 5)

    await store.edit("c", lambda turns: turns)

    assert await redis.ttl("zeng:codes:c") == 900


async def test_a_conversation_edited_to_nothing_leaves_no_key(store, redis) -> None:
    await store.edit("c", adding(turn("t1")))
    await store.edit("c", lambda _: ())

    assert await redis.keys() == []


async def test_edits_at_the_same_time_all_count(store) -> None:
    await asyncio.gather(*(store.edit("c", adding(turn(f"t{n}"))) for n in range(3)))

    assert sorted(t.turn_id for t in await store.load("c")) == ["t0", "t1", "t2"]


async def test_an_edit_that_always_loses_gives_up(store, redis) -> None:
    raced = 0

    async def race() -> None:
        await redis.hset("zeng:codes:c", f"x{raced}", b"\0" * 8 + b"{}")

    class Racing(RedisConversationStore):
        async def _fields(self, client, conversation_id):
            nonlocal raced
            fields = await super()._fields(client, conversation_id)
            raced += 1
            await race()
            return {name: value for name, value in fields.items() if not name.startswith(b"x")}

    with pytest.raises(StoreUnavailableError, match="too many"):
        await Racing(redis, ttl_s=9).edit("c", adding(turn("t1")))
    assert raced == 4


async def test_an_edit_whose_answer_comes_late_while_it_watches_is_made_again(store, redis, monkeypatch) -> None:
    execute, late = Pipeline.immediate_execute_command, 0

    async def hesitating(pipe, *command, **options):
        nonlocal late
        if command[0] == "HGETALL" and late < 2:
            late += 1
            raise WatchError("A TimeoutError occurred while watching one or more keys")  # as redis-py says it
        return await execute(pipe, *command, **options)

    monkeypatch.setattr(Pipeline, "immediate_execute_command", hesitating)
    await store.edit("c", adding(turn("mine")))

    assert late == 2
    assert [each.turn_id for each in await store.load("c")] == ["mine"]


async def test_what_went_wrong_is_named_without_what_was_said(store, redis, monkeypatch) -> None:
    async def unwell(*_: object) -> None:
        raise ResponseError("unknown command, with args beginning with: 'Salam'")

    monkeypatch.setattr(redis, "hgetall", unwell)
    with pytest.raises(StoreUnavailableError, match=r"^Redis: ResponseError$"):
        await store.load("c")


async def test_forgetting_leaves_no_key(store, redis) -> None:
    await store.edit("c", adding(turn("t1")))

    await store.forget("c")

    assert await redis.keys() == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.load("c"),
        lambda store: store.edit("c", lambda turns: turns),
        lambda store: store.forget("c"),
        lambda store: store.ping(),
    ],
)
async def test_a_redis_that_is_away_is_said_to_be(store, server, ask) -> None:
    server.connected = False

    with pytest.raises(StoreUnavailableError, match="Redis"):
        await ask(store)


async def test_a_redis_that_is_there_is_asked_and_answers(store, redis, monkeypatch) -> None:
    asked: list[bool] = []

    async def ping() -> bool:
        asked.append(True)
        return True

    monkeypatch.setattr(redis, "ping", ping)
    await store.ping()
    assert asked == [True]
    await store.close()
