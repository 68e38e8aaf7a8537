"""`Bell`: lets tasks of one event loop wait for what another thread does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from telephony.rtp.doorbell import Doorbell

_T = TypeVar("_T")


class Bell:
    """Waiting belongs to the loop that the bell is made in; anyone may ring.

    Ringing costs nothing while nobody waits. No ring is lost: who waits looks once more after saying so, and who
    rings changes things before asking whether anyone waits. Another thread's ring is heard at the doorbell's, which
    wakes the loop once for all calls.
    """

    def __init__(self, doorbell: Doorbell) -> None:
        self._loop = asyncio.get_running_loop()
        self._doorbell = doorbell
        self._noted = False
        self._thread = threading.get_ident()
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Let all that wait look again."""
        if not self._waiting:
            return
        if threading.get_ident() == self._thread:
            self._wake()
        elif not self._noted:
            self._noted = True
            self._doorbell.note(self._answer)

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

    def _answer(self) -> None:
        # Cleared first: what happens from here on is noted again.
        self._noted = False
        self._wake()

    def _wake(self) -> None:
        for rung in self._waiting:
            if not rung.done():
                rung.set_result(None)
