"""One generator process: `python -m bot.loadtest.process`, started by the conductor; JSON lines in and out.

In come a `Task`, then `Go` for each stage; out go `Progress` twice a second and the file with the stage at its end.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from bot.loadtest.clips import ClipLibrary
from bot.loadtest.generator import Generator, StageTaken
from bot.loadtest.lines import open_line
from bot.loadtest.plan import Network, Plan
from bot.loadtest.shapes import Stage

_EVERY_S = 0.5
_FLOOR_PORTS = 16  # at the end of a process's range
STAGE_TAKEN: TypeAdapter[StageTaken] = TypeAdapter(StageTaken)


class Task(BaseModel):
    """What this process is to be."""

    model_config = ConfigDict(extra="forbid")

    plan: Plan
    index: int
    folder: Path
    echo: str = ""  # SIP URI of an echo; empty: the floor is not measured


class Go(BaseModel):
    """A stage."""

    model_config = ConfigDict(extra="forbid")

    name: str
    calls: int
    hold_s: float
    rate_per_s: float = 0.0
    ramp: bool = False


async def run(task: Task, lines: asyncio.StreamReader) -> None:
    """Serve until the conductor closes our input."""
    plan = task.plan
    low, high = port_share(plan, task.index)
    async with AsyncExitStack() as stack:
        line = await stack.enter_async_context(
            open_line(
                plan.target, network=plan.network, seed=plan.seed + task.index, port_min=low,
                port_max=high - _FLOOR_PORTS,
            )
        )  # fmt: skip
        floor = None
        if task.echo:
            floor = await stack.enter_async_context(
                open_line(task.echo, network=Network(), seed=0, port_min=high - _FLOOR_PORTS + 1, port_max=high)
            )
        generator = Generator(plan, line, floor, index=task.index, folder=task.folder, clips=ClipLibrary(plan.clips))
        gc.collect()
        gc.freeze()
        _say({"ready": True})
        async for text in lines:
            go = Go.model_validate_json(text)
            ticker = asyncio.create_task(_tell(generator))
            taken = await generator.run(Stage(**go.model_dump()))
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)
            path = task.folder / f"stage-{task.index}.json"
            await asyncio.to_thread(path.write_bytes, STAGE_TAKEN.dump_json(taken))
            _say({"done": str(path)})


def port_share(plan: Plan, index: int) -> tuple[int, int]:
    """A process's part of the RTP ports, an even number of them."""
    share = (plan.rtp_port_max - plan.rtp_port_min + 1) // plan.processes // 2 * 2
    low = plan.rtp_port_min + share * index
    return low, low + share - 1


async def _tell(generator: Generator) -> None:
    while True:
        await asyncio.sleep(_EVERY_S)
        _say({"progress": asdict(generator.progress)})


def _say(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201  # the conductor's line


async def main() -> None:
    """Read the task, then serve."""
    lines = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await run(Task.model_validate_json(await lines.readline()), lines)


if __name__ == "__main__":
    sys.setswitchinterval(0.001)
    import uvloop

    uvloop.run(main())
