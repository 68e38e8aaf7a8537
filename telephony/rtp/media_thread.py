"""The thread that paces all calls of a process: its own loop, and in it one clock for all (`frame_clock.py`).

A bot loop that is busy for as long as the lead lasts is not heard by the callers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from telephony.rtp.frame_clock import FrameClock, Ticking

try:
    from uvloop import new_event_loop
except ImportError:  # not on Windows
    from asyncio import new_event_loop

_T = TypeVar("_T")


class MediaThread:
    """Start it, `post` or `call` functions into it, and from in there `add` and `remove` what is to tick."""

    def __init__(self, *, after_tick: Callable[[], None]) -> None:
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._run, name="rtp-media", daemon=True)
        self._clock = FrameClock(self._loop, after_tick=after_tick)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The thread's own."""
        return self._loop

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it; what still ticks stops."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    # From other threads

    def post(self, function: Callable[[], object]) -> None:
        """Have a function called in the thread, in the order of posting."""
        self._loop.call_soon_threadsafe(function)

    def call(self, function: Callable[[], _T]) -> Future[_T]:
        """Have a function called in the thread; its result or error comes by the future."""
        future: Future[_T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - belongs to the caller, whatever it is
                future.set_exception(error)

        self.post(run)
        return future

    # From within

    def add(self, stream: Ticking) -> None:
        """Let a stream tick every 20 ms."""
        self._clock.add(stream)

    def remove(self, stream: Ticking) -> None:
        """Let a stream tick no more; nothing happens if it did not."""
        self._clock.remove(stream)
