"""`Generator`: the callers of one process. Runs a stage: callers come in, call again and again, hang up at its end."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bot.loadtest.behaviour import CallerMachine, Manners, StepKind
from bot.loadtest.caller import Caller, CallTaken
from bot.loadtest.clips import ClipLibrary
from bot.loadtest.floor import measure_floor
from bot.loadtest.lines import CallFailed, Line
from bot.loadtest.plan import Plan, Scenario
from bot.loadtest.procfs import inodes_of, udp_sockets
from bot.loadtest.shapes import Stage
from bot.loadtest.validity import GeneratorHealth
from telephony.leg import LegStats

_TICK_S = 0.01
_AGAIN_S = 0.5  # between two calls of one caller
_CLOSING_S = 10.0
_LEAST_S = 1.0  # of a call that began as its stage ended


@dataclass(slots=True)
class Progress:
    """What the terminal shows of a generator."""

    active: int = 0
    answered: int = 0
    failed: int = 0
    turns: int = 0


@dataclass(frozen=True, slots=True)
class StageTaken:
    """A stage before its analysis."""

    calls: tuple[CallTaken, ...]
    failures: Counter[str]
    signalling: Counter[str]
    health: GeneratorHealth


@dataclass(slots=True)
class _Load:
    """The load generator's own state over a stage."""

    drops_before: dict[str, int]  # by inode; those of sockets that outlive a stage are of the stages before
    late_s: list[float] = field(default_factory=list[float])
    drops: dict[str, int] = field(default_factory=dict[str, int])  # by inode
    ports_free: int = 1_000_000


class Generator:
    """One process's share of the callers."""

    def __init__(
        self, plan: Plan, line: Line, floor_line: Line | None, *, index: int, folder: Path, clips: ClipLibrary
    ) -> None:
        self._plan = plan
        self._line = line
        self._floor_line = floor_line
        self._index = index
        self._folder = folder
        self._clips = clips
        self._count = 0
        self.progress = Progress()

    async def run(self, stage: Stage) -> StageTaken:
        """Hold the stage's load; returns when every call has ended."""
        self._taken: list[CallTaken] = []
        self._failures: Counter[str] = Counter()
        self.progress.active = 0
        before = Counter(self._line.signalling)
        load = _Load(_own_drops())
        watching = asyncio.create_task(self._watch(load))
        floor = asyncio.create_task(measure_floor(self._floor_line, self._clips, stage.hold_s))
        began, cpu = time.monotonic(), time.process_time()
        dice = random.Random(f"{self._plan.seed}/{stage.name}/{self._index}")  # noqa: S311  # to be had again
        starts = stage.share(self._index, self._plan.processes)
        callers = [asyncio.create_task(self._caller(start_s, stage, began, dice.random())) for start_s in starts]
        await asyncio.gather(*callers)
        floors = await floor
        cpu, took = time.process_time() - cpu, time.monotonic() - began
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        self._look(load)
        paced = max((call.stats.sent_late_ms_max for call in self._taken), default=0.0)
        health = GeneratorHealth(
            cpu_share=cpu / took if callers else 0.0,  # of several generators one may have no callers
            loop_late_p99_ms=1000 * float(np.percentile(load.late_s or [0.0], 99)),
            paced_late_ms_max=paced,
            floor_ms=float(np.median(floors)) if floors else None,
            floor_ms_max=max(floors) if floors else None,
            udp_drops=sum(max(0, count - load.drops_before.get(inode, 0)) for inode, count in load.drops.items()),
            frames_dropped=sum(call.frames_dropped for call in self._taken),
            ports_free=load.ports_free,
        )
        signalling = Counter(self._line.signalling)
        signalling.subtract(before)
        return StageTaken(tuple(self._taken), self._failures, +signalling, health)

    async def _caller(self, start_s: float, stage: Stage, began: float, draw: float) -> None:
        dice = random.Random(draw)  # noqa: S311
        await asyncio.sleep(max(0.0, began + start_s - time.monotonic()))
        while True:
            left_s = began + stage.hold_s - time.monotonic()
            if left_s < _AGAIN_S and not stage.rate_per_s:
                return
            await self._call(self._choose(dice), left_s, dice)
            if stage.rate_per_s:
                return
            await asyncio.sleep(min(_AGAIN_S, max(0.0, began + stage.hold_s - time.monotonic())))

    def _choose(self, dice: random.Random) -> Scenario:
        scenarios: Sequence[Scenario] = self._plan.scenarios
        return dice.choices(scenarios, [scenario.weight for scenario in scenarios])[0]

    async def _call(self, scenario: Scenario, left_s: float, dice: random.Random) -> None:
        began = time.monotonic()
        self._count += 1
        name = f"g{self._index}-{self._count:05d}"
        try:
            rung = await self._line.call()
        except CallFailed as error:
            self._failures[str(error)] += 1
            self.progress.failed += 1
            return
        answered = time.monotonic()
        self.progress.answered += 1
        self.progress.active += 1
        until_s = max(_LEAST_S, left_s - (answered - began))
        machine = CallerMachine(
            [turn.step() for turn in scenario.turns],
            Manners(patience_s=self._plan.patience_ms / 1000, linger_s=self._plan.linger_ms / 1000),
            repeat=scenario.repeat and scenario.turns[-1].step().kind is not StepKind.HANG_UP,
            until_s=until_s,
            dice=dice.random,
        )
        blank = CallTaken(
            call=name, call_id=rung.call_id, scenario=scenario.name, began_s=began, media_began_s=answered,
            answer_ms=1000 * (answered - rung.asked_at), length_s=0.0, path=None, deeds=(), unanswered=(), concealed=(),
            stats=LegStats(), frames_dropped=0, told=(), ended="", cut=False,
        )  # fmt: skip
        caller = Caller(rung.leg, machine, self._clips, on_turn=self._on_turn)
        running = asyncio.create_task(caller.run(blank, self._folder))
        done, _ = await asyncio.wait((running,), timeout=until_s + _CLOSING_S)
        if not done:  # no media flows any more: the machine has no clock
            await rung.leg.hang_up()
        self._taken.append(await running)
        self.progress.active -= 1

    def _on_turn(self) -> None:
        self.progress.turns += 1

    async def _watch(self, load: _Load) -> None:
        """Look after the loop's own timers, the kernel's drops and the ports."""
        rounds = 0
        while True:
            due = time.monotonic() + _TICK_S
            await asyncio.sleep(_TICK_S)
            load.late_s.append(max(0.0, time.monotonic() - due))
            rounds += 1
            if rounds % 200 == 1:
                self._look(load)

    def _look(self, load: _Load) -> None:
        load.drops |= _own_drops()
        load.ports_free = min(load.ports_free, self._line.ports_free)


def _own_drops() -> dict[str, int]:
    """What the kernel threw away on each of our UDP sockets since it was opened."""
    mine = inodes_of(os.getpid())
    return {socket.inode: socket.drops for socket in udp_sockets() if socket.inode in mine}
