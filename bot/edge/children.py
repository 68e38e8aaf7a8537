"""`Children`: the processes of one service, restarted when they fall, ended together."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from bot.errors import ServiceStartError

_log = structlog.get_logger("zeng.edge")
_PR_SET_PDEATHSIG = 1
_BACKOFF_S = (0.2, 1.0, 3.0, 10.0)
_STABLE_S = 30.0  # a child that ran this long starts again without waiting


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What one start of a process gets besides its arguments; `started` is called once it has it."""

    argv: tuple[str, ...] = ()
    fds: tuple[int, ...] = ()
    started: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One process: what to run and how to know that it serves."""

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], Awaitable[bool]]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    start_timeout_s: float = 120.0
    inherit: Callable[[], Inheritance] = Inheritance  # anew at every start
    said: Callable[[], str] = lambda: "see its messages"  # where it ends at start


class Children:
    """Told what to run; `on_fall` is told the name of each that ended without being asked to."""

    def __init__(self, *, on_fall: Callable[[str], None]) -> None:
        self._on_fall = on_fall
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self, *specs: ChildSpec) -> None:
        """Start them side by side and wait until all serve. Raises `ServiceStartError` that names one that does not."""
        starts = [asyncio.create_task(self._start(spec)) for spec in specs]
        try:
            await asyncio.gather(*starts)
        finally:  # after an error no other is still being started: `stop` ends those there are
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)

    async def _start(self, spec: ChildSpec) -> None:
        process = await self._spawn(spec)
        deadline = asyncio.get_running_loop().time() + spec.start_timeout_s
        while not await spec.ready():
            if process.returncode is not None:
                raise ServiceStartError(f"{spec.name} ended at start with code {process.returncode}; {spec.said()}")
            if asyncio.get_running_loop().time() > deadline:
                raise ServiceStartError(f"{spec.name} did not serve within {spec.start_timeout_s:.0f} s")
            await asyncio.sleep(0.05)
        self._keepers.append(asyncio.create_task(self._keep(spec)))

    async def stop(self, *, grace_s: float) -> None:
        """Ask all to end, last started first, and kill what has not ended after `grace_s`."""
        self._stopping = True
        for keeper in self._keepers:
            keeper.cancel()
        for process in reversed(self._processes.values()):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        waits = [asyncio.create_task(p.wait()) for p in self._processes.values()]
        if waits:
            await asyncio.wait(waits, timeout=grace_s)
        for process in self._processes.values():
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def pid(self, name: str) -> int:
        """Process id of a child that runs."""
        return self._processes[name].pid

    async def _spawn(self, spec: ChildSpec) -> asyncio.subprocess.Process:
        inheritance = spec.inherit()
        process = await asyncio.create_subprocess_exec(
            *spec.argv,
            *inheritance.argv,
            pass_fds=inheritance.fds,
            env={**os.environ, **spec.environment},
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us; we end the children in order
            preexec_fn=_dying_with_its_parent(),
        )
        inheritance.started()
        self._processes[spec.name] = process
        _log.debug("child started", name=spec.name, pid=process.pid)
        return process

    async def _keep(self, spec: ChildSpec) -> None:
        loop = asyncio.get_running_loop()
        fast_falls = 0
        while not self._stopping:
            began = loop.time()
            code = await self._processes[spec.name].wait()
            if self._stopping:
                return
            fast_falls = 0 if loop.time() - began > _STABLE_S else fast_falls + 1
            delay = _BACKOFF_S[min(fast_falls, len(_BACKOFF_S) - 1)]
            _log.error("child fell; starting it again", name=spec.name, code=code, delay_s=delay)
            self._on_fall(spec.name)
            await asyncio.sleep(delay)
            try:
                await self._spawn(spec)
            except OSError as error:  # no memory or no descriptors left: there may be later
                _log.error("child could not be started", name=spec.name, error=str(error))


def _dying_with_its_parent() -> Callable[[], object] | None:
    """What the child of a fork calls, looked up before it: a thread that is not there may hold the loader's lock."""
    if sys.platform != "linux":
        return None
    return partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, int(signal.SIGTERM))
