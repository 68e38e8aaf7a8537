"""Conversations in Redis, shared by speech servers and outliving them. Needs commands of Redis 6.2 only.

A conversation is one hash, `zeng:codes:{id}`: a field for each turn, named by `turn_id`. A value is a
sequence number that gives the order, then the turn's header as JSON, then its codes as they are
(64 bytes a frame). An edit writes the fields that it changed, under WATCH.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, TypeVar, cast

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, WatchError

from tts_engine.backend.port import SpokenTurn
from tts_engine.engine.history import Turns
from tts_engine.engine.store import Edit, StoreUnavailableError

KEY_PREFIX = "zeng:codes:"
_ATTEMPTS = 4  # an edit loses to another edit of the same conversation, or with the connection that watched
_FRONT = struct.Struct("<II")  # sequence number, length of the header
_T = TypeVar("_T")


def connect(url: str, *, timeout_s: float) -> Redis:
    """Make a client that fails fast: a voice does not wait for its memory."""
    return Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0))


class RedisConversationStore:
    """Every key expires `ttl_s` after its last change."""

    def __init__(self, redis: Redis, *, ttl_s: int) -> None:
        self._redis = redis
        self._ttl_s = ttl_s

    async def load(self, conversation_id: str) -> Turns:
        """Read a conversation."""
        return _ordered(await self._fields(self._redis, conversation_id))

    async def edit(self, conversation_id: str, edit: Edit) -> None:
        """Replace a conversation by `edit` of itself, atomically."""
        for _ in range(_ATTEMPTS):
            # WatchError is also what redis-py makes of a connection that breaks, or an answer that is late, in between
            with suppress(WatchError):
                await _asked(self._try_edit(conversation_id, edit))
                return
        raise StoreUnavailableError("Redis: too many change the conversation at once, or it is too slow to answer")

    async def forget(self, conversation_id: str) -> None:
        """Remove a conversation."""
        await _asked(self._redis.unlink(KEY_PREFIX + conversation_id))

    async def ping(self) -> None:
        """Ask Redis whether it is there."""
        await _asked(self._redis.ping())

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _try_edit(self, conversation_id: str, edit: Edit) -> None:
        key = KEY_PREFIX + conversation_id
        async with self._redis.pipeline(transaction=True) as pipe:
            await pipe.watch(key)
            old = await self._fields(pipe, conversation_id)
            new = _numbered(edit(_ordered(old)), old)
            pipe.multi()
            if gone := old.keys() - new.keys():
                pipe.hdel(key, *cast("list[str]", list(gone)))
            if changed := {name: value for name, value in new.items() if old.get(name) != value}:
                pipe.hset(key, mapping=cast("dict[Any, Any]", changed))
            pipe.expire(key, self._ttl_s)
            await pipe.execute()

    async def _fields(self, client: Redis | Pipeline, conversation_id: str) -> dict[bytes, bytes]:
        return await _asked(cast("Awaitable[dict[bytes, bytes]]", client.hgetall(KEY_PREFIX + conversation_id)))


async def _asked(answer: Awaitable[_T]) -> _T:
    try:
        return await answer
    except WatchError:
        raise  # to be tried again
    except RedisError as error:
        raise StoreUnavailableError(f"Redis: {type(error).__name__}") from error  # its words may quote ours


def _numbered(turns: Turns, old: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Pack turns; those known keep their number, new ones are numbered on."""
    numbers = {name: _FRONT.unpack_from(value)[0] for name, value in old.items()}
    following = max(numbers.values(), default=-1) + 1
    packed: dict[bytes, bytes] = {}
    for turn in turns:
        name = turn.turn_id.encode()
        if name not in numbers:
            numbers[name] = following
            following += 1
        packed[name] = _pack(turn, numbers[name])
    return packed


def _ordered(fields: dict[bytes, bytes]) -> Turns:
    values = sorted(fields.items(), key=lambda item: _FRONT.unpack_from(item[1])[0])
    return tuple(_unpack(name, value) for name, value in values)


def _pack(turn: SpokenTurn, number: int) -> bytes:
    header = {"role": turn.role, "text": turn.text, "duration_s": turn.duration_s, "joints": turn.joints}
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return _FRONT.pack(number, len(head)) + head + turn.codes


def _unpack(name: bytes, value: bytes) -> SpokenTurn:
    _, length = _FRONT.unpack_from(value)
    codes_at = _FRONT.size + length
    header = json.loads(value[_FRONT.size : codes_at])
    return SpokenTurn(
        turn_id=name.decode(),
        role=header["role"],
        text=header["text"],
        duration_s=header["duration_s"],
        codes=value[codes_at:],
        joints=tuple((letter, byte) for letter, byte in header.get("joints", ())),  # of before there were any
    )
