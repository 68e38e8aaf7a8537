"""`Calls`: the calls of one worker, within its places."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import structlog

from telephony.leg import CallLeg, LegEnded, RejectReason

_log = structlog.get_logger("zeng.worker")


class Calls:
    """Takes legs, runs each as a task, refuses what is over `capacity` or comes while draining.

    A call that has lasted `limit_s` is hung up: its caller may have forgotten it, or mean to hold the place.
    """

    def __init__(
        self, *, capacity: int, limit_s: float, run: Callable[[CallLeg], Coroutine[object, object, LegEnded]]
    ) -> None:
        self._capacity = capacity
        self._limit_s = limit_s
        self._run = run
        self._tasks: dict[str, asyncio.Task[LegEnded]] = {}
        self._partings: set[asyncio.Task[None]] = set()  # legs being refused or hung up
        self._draining = False

    @property
    def active(self) -> int:
        """Calls under way."""
        return len(self._tasks)

    @property
    def capacity(self) -> int:
        """Places; none while draining."""
        return self.active if self._draining else self._capacity

    @property
    def free(self) -> int:
        """Places for new calls."""
        return max(0, self.capacity - self.active)

    def take(self, leg: CallLeg) -> None:
        """Start a call on a new leg, or refuse it with "at capacity"."""
        if self.free == 0:
            self._part(leg.reject(RejectReason.AT_CAPACITY, retry_after_s=5))
            return
        task = asyncio.create_task(self._run(leg), name=f"call-{leg.info.call_id}")
        self._tasks[leg.info.call_id] = task
        limit = asyncio.get_running_loop().call_later(self._limit_s, self._end, leg)
        task.add_done_callback(lambda done: self._done(leg.info.call_id, done, limit))

    def _end(self, leg: CallLeg) -> None:
        _log.warning("call hung up at its limit", call_id=leg.info.call_id, seconds=self._limit_s)
        self._part(leg.hang_up())

    def _part(self, parting: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(parting)
        self._partings.add(task)
        task.add_done_callback(self._partings.discard)

    def drain(self) -> None:
        """Take no more calls."""
        self._draining = True

    async def wait(self, *, timeout_s: float) -> int:
        """Wait until the calls have ended, cancel what is left, and return how many that were."""
        if not self._tasks:
            return 0
        _, left = await asyncio.wait(self._tasks.values(), timeout=timeout_s)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=5.0)
        return len(left)

    def _done(self, call_id: str, task: asyncio.Task[LegEnded], limit: asyncio.TimerHandle) -> None:
        limit.cancel()
        del self._tasks[call_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("call broke", call_id=call_id, error=repr(error))
