"""`Conductor`: runs a plan over several generator processes, stage by stage, and puts the report together."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from bot.errors import ServiceStartError
from bot.loadtest.generator import Progress, StageTaken
from bot.loadtest.hearing import recogniser
from bot.loadtest.knee import KneeSearch
from bot.loadtest.measuring import Measurer, find_pesq
from bot.loadtest.plan import Plan
from bot.loadtest.process import STAGE_TAKEN, Task
from bot.loadtest.references import References, load_references
from bot.loadtest.results import Report, StageRecord
from bot.loadtest.server_side import ServerSide, Snapshot, between
from bot.loadtest.shapes import Stage, named
from bot.loadtest.summary import StageFacts, stage_record
from bot.loadtest.validity import faults

_START_S = 120.0  # a process imports SciPy and aiortc first, which takes a loaded machine half a minute
_SETTLE_S = 3.0
_STRAGGLE_S = 60.0

OnProgress = Callable[[Stage, float, Sequence[Progress]], None]
OnStage = Callable[[StageRecord], None]


@dataclass(slots=True)
class _Process:
    process: asyncio.subprocess.Process
    progress: Progress

    async def read(self) -> dict[str, object]:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            raise ServiceStartError("a generator process ended; its error stands above")
        return json.loads(line)

    def send(self, message: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(message.encode() + b"\n")


class Conductor:
    """`run()` holds the whole test; recordings lie in `folder` afterwards."""

    def __init__(self, plan: Plan, folder: Path, *, on_progress: OnProgress, on_stage: OnStage, echo: str = "") -> None:
        """`echo` is the SIP URI of an echo on this machine; empty: one is started."""
        self._plan = plan
        self._folder = folder
        self._on_progress = on_progress
        self._on_stage = on_stage
        self._echo = echo
        self._rng = np.random.default_rng(plan.seed)
        self._server = ServerSide(plan.target, plan.metrics_url)
        self._pesq = find_pesq()
        references = load_references(plan.references) if plan.references is not None else References()
        transcribe = recogniser(plan.recogniser_url, plan.recogniser_model) if plan.recogniser_url else None
        self._measurer = Measurer(
            references,
            learn=not len(references),
            pesq=self._pesq,
            expectations=plan.expectations,
            transcribe=transcribe,
        )

    async def run(self) -> Report:
        """Run every stage, or search the knee."""
        began, described = datetime.now(UTC), environment()
        stages: list[StageRecord] = []
        shape = self._plan.shape
        search = KneeSearch(first=shape.calls, limit=shape.find_knee) if shape.find_knee else None
        async with AsyncExitStack() as stack:
            echo = self._echo or await stack.enter_async_context(_echo_process())
            processes = [
                await stack.enter_async_context(_generator(self._plan, index, self._folder, echo))
                for index in range(self._plan.processes)
            ]
            if search is None:
                stages += [await self._stage(stage, processes) for stage in shape.stages()]
            else:
                stages += await self._search(search, processes)
        return Report(
            began=began.isoformat(timespec="seconds"),
            target=self._plan.target,
            environment=described,
            plan=self._plan.model_dump(mode="json"),
            stages=tuple(stages),
            knee=search.knee if search else None,
            knee_bounded=search.bounded if search else False,
            knee_stopped_at=search.stopped_at if search else None,
        )

    async def _search(self, search: KneeSearch, processes: Sequence[_Process]) -> list[StageRecord]:
        """Run what the search asks for; a stage that is run again stands for both times."""
        stages: list[StageRecord] = []
        spoiled: tuple[str, ...] = ()
        while (load := search.next_load()) is not None:
            record = await self._stage(Stage(named(load), load, self._plan.shape.hold_s), processes)
            if record.invalid:
                search.spoiled(load)
                if search.next_load() == load:
                    spoiled = record.invalid
                    continue
            else:
                search.record(load, held=record.held)
            if spoiled:
                why = f"run again, since the first time was INVALID: {'; '.join(spoiled)}"
                record = record.model_copy(update={"caveats": (why, *record.caveats)})
            stages.append(record)
            spoiled = ()
        return stages

    async def _stage(self, stage: Stage, processes: Sequence[_Process]) -> StageRecord:
        before = await self._server.look()
        began = time.monotonic()
        for process in processes:
            process.send(json.dumps(asdict(stage)))
        async with asyncio.timeout(stage.hold_s + _STRAGGLE_S):
            taken = await asyncio.gather(*(self._follow(stage, began, one, processes) for one in processes))
        after = await self._server.look()
        server = between(before, after, time.monotonic() - began)
        settled = await self._settled(before)
        record = await self._judge(stage, taken, server, (before.sockets, settled.sockets))
        self._on_stage(record)
        return record

    async def _follow(self, stage: Stage, began: float, own: _Process, others: Sequence[_Process]) -> StageTaken:
        while True:
            message = await own.read()
            progress = message.get("progress")
            if isinstance(progress, dict):
                own.progress = Progress(**progress)
                self._on_progress(stage, time.monotonic() - began, [one.progress for one in others])
            elif "done" in message:
                return STAGE_TAKEN.validate_json(await asyncio.to_thread(Path(str(message["done"])).read_bytes))

    async def _settled(self, before: Snapshot) -> Snapshot:
        """Give the bot a while to close what it has open."""
        now = await self._server.look()
        deadline = time.monotonic() + _SETTLE_S
        while now.sockets != before.sockets and time.monotonic() < deadline:
            await asyncio.sleep(0.25)
            now = await self._server.look()
        return now

    async def _judge(
        self,
        stage: Stage,
        taken: Sequence[StageTaken],
        server: dict[str, float],
        sockets: tuple[int | None, int | None],
    ) -> StageRecord:
        theirs = await self._server.calls()
        self._measurer.begin_stage()
        calls = [call for one in taken for call in one.calls]
        if not any(faults(one.health) for one in taken):  # what the generator spoiled is no source
            await asyncio.to_thread(self._measurer.learn, calls)
        measured = await asyncio.to_thread(lambda: [self._measurer.measure(call) for call in calls])
        records = [record.model_copy(update={"server": theirs.get(record.call_id, {})}) for record in measured]
        facts = StageFacts(
            transport=self._plan.transport,
            failures=sum((one.failures for one in taken), Counter[str]()),
            signalling=sum((one.signalling for one in taken), Counter[str]()),
            health=[one.health for one in taken],
            server=server,
            sockets=sockets,
            network=self._plan.network,
            asked=self._plan.kinds,
            scored=self._pesq is not None,
        )
        return stage_record(stage, records, facts, promises=self._plan.slo, rng=self._rng)


@asynccontextmanager
async def _spawn(*arguments: str) -> AsyncGenerator[_Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        yield _Process(process, Progress())
    finally:
        assert process.stdin is not None
        process.stdin.close()  # its sign to end
        try:
            async with asyncio.timeout(5.0):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def _generator(plan: Plan, index: int, folder: Path, echo: str) -> AsyncGenerator[_Process]:
    async with _spawn("bot.loadtest.process") as started:
        started.send(Task(plan=plan, index=index, folder=folder, echo=echo).model_dump_json())
        async with asyncio.timeout(_START_S):
            await started.read()
        yield started


@asynccontextmanager
async def _echo_process() -> AsyncGenerator[str]:
    async with _spawn("bot.loadtest.echo") as started:
        async with asyncio.timeout(_START_S):
            told = await started.read()
        yield str(told["uri"])


def environment() -> dict[str, str]:
    """What was measured on."""
    load = os.getloadavg()
    return {
        "zeng": version("zeng"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "load_average_before": f"{load[0]:.2f} {load[1]:.2f} {load[2]:.2f}",
    }
