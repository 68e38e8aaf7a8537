"""Debian's coturn on 127.0.0.1, with credentials for a while (`use-auth-secret`)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.waiting import HUNG_S

SECRET = "only the server and the bot know it"
RELAY_PORTS = range(45_000, 45_201)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def coturn(folder: Path) -> AsyncIterator[int]:
    """Run it; gives its port."""
    port, log = _free_port(), (folder / "turn.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        "turnserver", "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}",
        f"--min-port={RELAY_PORTS.start}", f"--max-port={RELAY_PORTS.stop - 1}", "--no-tls", "--no-dtls", "--no-cli",
        "--allow-loopback-peers", "--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=zeng.test",
        "--no-rfc5780", f"--pidfile={folder}/turn.pid", f"--userdb={folder}/turn.db", "--log-file=stdout",
        stdout=log, stderr=log,
    )  # fmt: skip
    try:
        async with asyncio.timeout(HUNG_S):
            while f":{port:04X}" not in Path("/proc/net/udp").read_text("ascii"):
                assert process.returncode is None, (folder / "turn.log").read_text()[-2000:]
                await asyncio.sleep(0.05)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        log.close()
