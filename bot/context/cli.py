"""`zeng conversation`: what was said in a call, as long as it is kept, and its removal before that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from bot.context.conversation import Speaker, Turn
from bot.context.redis_store import RedisConversationStore, connect
from bot.errors import SettingsError
from bot.settings import load_settings

app = typer.Typer(
    help="What was said in a call, for as long as \\[redis] ttl_s.", no_args_is_help=True, add_completion=False
)

_TIMEOUT_MS = 2000  # nobody is on the line
_SPEAKERS = {Speaker.BOT: "bot", Speaker.CALLER: "caller"}
_Answer = TypeVar("_Answer")

CallId = Annotated[
    str, typer.Argument(help="call_id of the log's line `call ended`, or of POST /api/calls", show_default=False)
]
Config = Annotated[Path | None, typer.Option(help="TOML file; see docs/configuration.md")]


@app.command()
def show(call_id: CallId, config: Config = None) -> None:
    """Print a call's turns: when, who, and the words. Exits with 1 where nothing is kept."""
    conversation = _ask(config, lambda store: store.load(_own(call_id)))
    for turn in conversation.turns:
        typer.echo(_line(turn))
    if not conversation.turns:
        typer.echo(f"nothing is kept of {call_id}", err=True)
        raise typer.Exit(1)


@app.command()
def forget(call_id: CallId, config: Config = None) -> None:
    """Remove what is kept of a call that is over; of one under way, what has been said so far."""
    known = _ask(config, lambda store: store.forget(_own(call_id)))
    typer.echo(f"{call_id} is forgotten" if known else f"nothing is kept of {call_id}")


def _ask(config: Path | None, ask: Callable[[RedisConversationStore], Awaitable[_Answer]]) -> _Answer:
    settings = load_settings(config).redis
    if not settings.url:
        raise SettingsError("[redis] url is empty: conversations are in a Redis of the service's own, and end with it")

    async def asked() -> _Answer:
        store = RedisConversationStore(connect(settings.url, timeout_ms=_TIMEOUT_MS), ttl_s=settings.ttl_s)
        try:
            return await ask(store)
        finally:
            await store.close()

    return asyncio.run(asked())


def _own(call_id: str) -> str:
    """Of a call that the API placed, whose id there begins with its worker's name."""
    return call_id.rpartition(".")[2]


def _line(turn: Turn) -> str:
    at = datetime.fromtimestamp(turn.started_at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    cut = "" if turn.heard_s is None else f"  (heard {turn.heard_s:.1f} s of {turn.duration_s:.1f})"
    return f"{at}  {_SPEAKERS[turn.speaker]:<6}  {turn.text}{cut}"
