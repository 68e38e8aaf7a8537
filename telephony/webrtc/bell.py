"""`Bell`: lets tasks of one event loop wait for what another thread does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class Bell:
    """Waiting belongs to the loop that the bell is made in; anyone may ring.

    Ringing costs nothing while nobody waits. No ring is lost: who waits looks once more after saying so, and who
    rings changes things before asking whether anyone waits.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Let all that wait look again."""
        if not self._waiting:
            return
        if threading.get_ident() == self._thread:
            self._wake()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    async def until(self, look: Callable[[], _T | None]) -> _T:
        """Wait until `look()` finds something, and return it."""
        while (found := look()) is None:
            rung = self._loop.create_future()
            self._waiting.add(rung)
            try:
                if (found := look()) is None:
                    await rung
            finally:
                self._waiting.discard(rung)
            if found is not None:
                break
        return found

    def _wake(self) -> None:
        for rung in self._waiting:
            if not rung.done():
                rung.set_result(None)
