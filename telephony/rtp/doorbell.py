"""Wakes the bot's loop once for all the calls that have something new, however many there are."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Doorbell:
    """Of one loop. Another thread notes whom to wake, then rings; the loop then wakes them all in one callback.

    `woken` is called after them: what they have in common is done for all at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, woken: Callable[[], None]) -> None:
        self._loop = loop
        self._woken = woken
        self._waiting: deque[Callable[[], None]] = deque()  # each call is in it once: see `RtpMedia`
        self._rung = False

    def note(self, wake: Callable[[], None]) -> None:
        """Have `wake` called in the loop after the next `ring`."""
        self._waiting.append(wake)

    def ring(self) -> None:
        """Wake the loop if there is something to do and it has not been asked to yet."""
        if not self._waiting or self._rung or self._loop.is_closed():
            return
        self._rung = True
        self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        # Cleared first: what is noted from here on rings again.
        self._rung = False
        while self._waiting:
            self._waiting.popleft()()
        self._woken()
