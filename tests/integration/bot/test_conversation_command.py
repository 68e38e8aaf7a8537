"""`zeng conversation`, with a real Redis."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.context.cli import app
from bot.context.conversation import Speaker, Turn
from bot.context.redis_store import RedisConversationStore, connect
from bot.errors import ConversationError, SettingsError
from tests.fakes.redis_server import RunningRedis, redis_server

TURNS = (
    Turn("b1", Speaker.BOT, "Salam! Sizə necə kömək edim?", 1_795_000_000.25, 2.04, 0.75),
    Turn("u1", Speaker.CALLER, "Şəki, Göyçay və Ağdam", 1_795_000_002.5, 1.0),
)


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with redis_server("redis", tmp_path) as running:
        monkeypatch.setenv("ZENG_REDIS__URL", running.url)
        yield running


def said(url: str, call_id: str) -> None:
    async def write() -> None:
        store = RedisConversationStore(connect(url, timeout_ms=5000), ttl_s=900)
        for turn in TURNS:
            await store.append(call_id, turn)
        await store.close()

    asyncio.run(write())


def test_a_call_is_shown_and_forgotten_and_its_neighbour_is_not(redis: RunningRedis) -> None:
    for call_id in ("one", "two"):
        said(redis.url, call_id)
    told = [CliRunner().invoke(app, words) for words in (["forget", "one"], ["show", "one"], ["show", "worker-1.two"])]

    assert [result.exit_code for result in told] == [0, 1, 0]
    assert told[0].stdout == "one is forgotten\n"
    assert told[2].stdout.splitlines() == [
        "2026-11-18T11:06:40Z  bot     Salam! Sizə necə kömək edim?  (heard 0.8 s of 2.0)",
        "2026-11-18T11:06:42Z  caller  Şəki, Göyçay və Ağdam",
    ]
    assert CliRunner().invoke(app, ["forget", "one"]).stdout == "nothing is kept of one\n"


def test_a_redis_that_is_away_and_one_that_nobody_else_can_reach_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for url, error in (("redis://127.0.0.1:9/0", ConversationError), ("", SettingsError)):
        monkeypatch.setenv("ZENG_REDIS__URL", url)
        assert isinstance(CliRunner().invoke(app, ["show", "one"]).exception, error)
