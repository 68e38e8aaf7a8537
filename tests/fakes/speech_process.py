"""A speech server that can be killed: the real one in a process of its own, with the voice for tests.

python -m tests.fakes.speech_process 40     # falls silent for good before frame 40 of whatever it says
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.fakes.speech import FakeBackend
from tests.fakes.speech_server import speech_server
from tests.waiting import START_S


@asynccontextmanager
async def speech_process(*, hold_at: int) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    """Start it; gives the process and its URL. Killed at the end, if it was not before."""
    command = (sys.executable, "-m", "tests.fakes.speech_process", str(hold_at))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield process, (await asyncio.wait_for(process.stdout.readline(), START_S)).decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _serve(hold_at: int) -> None:
    async with speech_server(FakeBackend(hold_at=hold_at)) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
