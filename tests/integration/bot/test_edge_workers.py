"""The edge and its worker processes, when one of them is not as it should be."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from bot.edge import children
from bot.edge import links as links_module
from bot.edge.children import Children, ChildSpec, Inheritance
from bot.edge.links import WorkerLinks
from bot.edge.workers import WorkerPool
from bot.errors import ServiceStartError
from tests.waiting import eventually

Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GOOD = json.dumps({"capacity": 3, "active": 1, "flow_refused": None})


def answering(status: str, body: str, asked: list[str]) -> Serve:
    """A worker that answers all requests so, or with status "" none; what it was asked joins the list."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split(" HTTP/")[0])
        if status:
            head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(f"{head}{body}".encode())
        writer.close()

    return serve


@pytest.mark.parametrize(
    ("answer", "serves"),
    [
        (("200 OK", GOOD), True),
        (("500 Internal Server Error", "{}"), False),
        (("200 OK", "no JSON"), False),
        (None, False),
    ],
    ids=["well", "broken", "something else", "gone"],
)
async def test_a_worker_counts_while_it_answers_as_it_should(
    answer: tuple[str, str] | None, serves: bool, tmp_path: Path
) -> None:
    pool = WorkerPool(("w",))
    pool.report("w", capacity=3, active=0)
    server = await asyncio.start_unix_server(answering(*(answer or ("", "")), []), tmp_path / "w.sock")
    links = WorkerLinks({"w": tmp_path / "w.sock"}, pool)
    try:
        assert await links.ready("w") is serves
        assert pool.free == (2 if serves else 0)
        await links.drain()  # whatever it says, the others are waited for
        assert pool.free == (2 if serves else 0)
    finally:
        await links.close()
        server.close()


async def test_a_call_that_came_since_the_last_status_is_counted_when_a_drain_begins(tmp_path: Path) -> None:
    asked: list[str] = []
    pool = WorkerPool(("w",))
    pool.report("w", capacity=3, active=0)
    server = await asyncio.start_unix_server(answering("200 OK", GOOD, asked), tmp_path / "w.sock")
    links = WorkerLinks({"w": tmp_path / "w.sock"}, pool)
    try:
        await links.drain()
        assert pool.active == 1
        await links.hang_up()
        assert asked == ["POST /drain", "POST /hang_up"]
    finally:
        await links.close()
        server.close()


async def test_a_worker_that_hangs_holds_up_nobodys_news_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links_module, "_POLL_S", 0.01)
    asked: dict[str, list[str]] = {"hangs": [], "well": []}
    taken: list[asyncio.StreamWriter] = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)
        asked["hangs"].append((await reader.readline()).decode().split()[1])

    well = answering("200 OK", GOOD, asked["well"])
    servers = [await asyncio.start_unix_server(answer, tmp_path / name) for answer, name in ((hang, "h"), (well, "w"))]
    links = WorkerLinks({"hangs": tmp_path / "h", "well": tmp_path / "w"}, WorkerPool(("hangs", "well")))
    links.start()
    draining = asyncio.create_task(links.drain())
    try:
        await eventually(lambda: asked["well"].count("GET /status") >= 5 and "POST /drain" in asked["well"])

        assert asked["hangs"].count("/status") == 1
    finally:
        draining.cancel()
        await links.close()
        for closing in (*taken, *servers):
            closing.close()


async def test_a_child_that_cannot_be_started_again_at_once_is_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_BACKOFF_S", (0.01, 0.01, 0.01, 0.01))
    tries: list[str] = []
    started: list[bool] = []

    def inherit() -> Inheritance:
        tries.append("60" if tries else "0")
        if len(tries) == 2:
            raise OSError("too many open files")
        return Inheritance(argv=(tries[-1],), started=lambda: started.append(True))

    async def ready() -> bool:
        return True

    sleeps = (sys.executable, "-c", "import sys, time; time.sleep(float(sys.argv[1]))")
    fallen: list[str] = []
    ours = Children(on_fall=fallen.append)
    await ours.start(ChildSpec("worker", sleeps, ready, inherit=inherit))
    await eventually(lambda: len(started) == 2)
    await ours.stop(grace_s=5.0)

    assert (len(tries), fallen) == (3, ["worker", "worker"])


async def test_children_start_side_by_side_and_all_are_ended_if_one_does_not_serve(tmp_path: Path) -> None:
    pids: dict[str, int] = {}
    all_started = tmp_path / "all"

    def spec(name: str, script: str) -> ChildSpec:
        async def ready() -> bool:
            pids[name] = ours.pid(name)
            if len(pids) == 3:  # though none of them serves yet
                all_started.touch()
            return False

        return ChildSpec(name, (sys.executable, "-c", script, str(all_started)), ready)

    ours = Children(on_fall=lambda _: None)
    sleeps = "import time; time.sleep(60)"
    fails = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)\nsys.exit(3)"
    with pytest.raises(ServiceStartError, match="the second ended at start with code 3"):
        await ours.start(spec("the first", sleeps), spec("the second", fails), spec("the third", sleeps))
    await ours.stop(grace_s=5.0)

    assert set(pids) == {"the first", "the second", "the third"}
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
