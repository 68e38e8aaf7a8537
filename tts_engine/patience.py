"""`Patience`: a bound on each of many waits of one task, by one timer for all of them.

`asyncio.timeout` around every piece of sound is two objects and a timer made and cancelled for nothing: a fifth of what
a piece costs the server (docs/benchmarks.md). Here a wait that ends in time costs a number.
"""

from __future__ import annotations

import asyncio
import math
from types import TracebackType


class Patience:
    """As `asyncio.timeout`: TimeoutError leaves the context when a wait in it took too long. One task enters it."""

    def __init__(self) -> None:
        self._timeout = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        self._ends_at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, limit_s: float) -> None:
        """Begin a wait of so long at most."""
        self._ends_at = self._loop.time() + limit_s
        if self._timer is None or self._timer.when() > self._ends_at:
            self._arm()

    def end(self) -> None:
        """Note that the wait is over. The timer stays, for the next one."""
        self._ends_at = math.inf

    async def __aenter__(self) -> Patience:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if self._timer is not None:
            self._timer.cancel()
        timeout = self._timeout
        # it keeps its task, the task of one that is cancelled the error, the error the frame in which this stands
        del self._timeout
        return await timeout.__aexit__(kind, error, trace)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._ends_at, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._ends_at <= self._loop.time():
            self._timeout.reschedule(self._loop.time())
        elif self._ends_at < math.inf:
            self._arm()
