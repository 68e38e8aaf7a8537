"""Calls in Redis: what was said, for `zeng conversation` and whoever else may read it. Commands of Redis 6.2 only.

A call is one hash, `zeng:call:{call_id}`: a field for each turn, named by `turn_id`, whose JSON begins with
the number that gives the order. Changes are written under WATCH, the fields that changed only, in one
transaction with the new expiry.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, WatchError

from bot.context.conversation import Conversation, Speaker, Turn
from bot.context.store import ConversationLimits
from bot.errors import ConversationError

KEY_PREFIX = "zeng:call:"
_ATTEMPTS = 4  # a change loses to another change of the same call, or with the connection that watched
_Fields = dict[bytes, bytes]
_T = TypeVar("_T")


def connect(url: str, *, timeout_ms: int = 150) -> Redis:
    """Make a client that fails fast: a caller does not wait for our memory."""
    timeout_s = timeout_ms / 1000
    return Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0))


class RedisConversationStore:
    """Every key expires `ttl_s` after its last change."""

    def __init__(self, redis: Redis, *, ttl_s: int, limits: ConversationLimits | None = None) -> None:
        self._redis = redis
        self._ttl_s = ttl_s
        self._limits = limits or ConversationLimits()

    async def append(self, call_id: str, turn: Turn) -> None:
        """Add a turn at the end; one of the same `turn_id` is replaced."""
        await self._change(call_id, lambda before: self._limits.applied_to(before.with_turn(turn)))

    async def load(self, call_id: str) -> Conversation:
        """Read a call; one that is not known has no turns."""
        return _conversation(call_id, await self._fields(self._redis, call_id))

    async def forget(self, call_id: str) -> bool:
        """Remove a call; whether it was known."""
        return await _asked(self._redis.unlink(KEY_PREFIX + call_id)) > 0

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _change(self, call_id: str, change: Callable[[Conversation], Conversation]) -> None:
        for _ in range(_ATTEMPTS):
            # WatchError is also what redis-py makes of a connection that breaks, or an answer that is late, in between
            with suppress(WatchError):
                await _asked(self._try_change(call_id, change))
                return
        raise ConversationError("Redis: too many change the call at once, or it is too slow to answer")

    async def _try_change(self, call_id: str, change: Callable[[Conversation], Conversation]) -> None:
        key = KEY_PREFIX + call_id
        async with self._redis.pipeline(transaction=True) as pipe:
            await pipe.watch(key)
            old = await self._fields(pipe, call_id)
            new = _numbered(change(_conversation(call_id, old)), old)
            pipe.multi()
            if gone := old.keys() - new.keys():
                pipe.hdel(key, *cast("list[str]", list(gone)))
            if changed := {name: value for name, value in new.items() if old.get(name) != value}:
                pipe.hset(key, mapping=cast("dict[Any, Any]", changed))
            pipe.expire(key, self._ttl_s)
            await pipe.execute()

    async def _fields(self, client: Redis | Pipeline, call_id: str) -> _Fields:
        return await _asked(cast("Awaitable[_Fields]", client.hgetall(KEY_PREFIX + call_id)))


async def _asked(answer: Awaitable[_T]) -> _T:
    try:
        return await answer
    except WatchError:
        raise  # to be tried again
    except RedisError as error:
        raise ConversationError(f"Redis: {type(error).__name__}") from error  # its words may quote ours


def _conversation(call_id: str, fields: _Fields) -> Conversation:
    values = sorted(((json.loads(value), name) for name, value in fields.items()), key=lambda value: value[0][0])
    return Conversation(call_id, tuple(_turn(name, value) for value, name in values))


def _numbered(conversation: Conversation, old: _Fields) -> _Fields:
    """Write turns; those that stay where they were keep their number, the others are numbered on."""
    numbers = {name: json.loads(value)[0] for name, value in old.items()}
    following = max(numbers.values(), default=-1) + 1
    written: _Fields = {}
    last = -1
    for turn in conversation.turns:
        name = turn.turn_id.encode()
        number = numbers.get(name, -1)
        if number <= last:
            number, following = following, following + 1
        last = number
        written[name] = _value(turn, number)
    return written


def _value(turn: Turn, number: int) -> bytes:
    fields = [number, turn.speaker.value, turn.text, turn.started_at, turn.duration_s, turn.heard_s]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _turn(name: bytes, value: list[Any]) -> Turn:
    _, speaker, text, started_at, duration_s, heard_s = value
    return Turn(name.decode(), Speaker(speaker), text, started_at, duration_s, heard_s)
