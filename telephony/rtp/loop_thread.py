"""`LoopThread`: a thread with an event loop of its own, into which others have functions called."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

try:
    from uvloop import new_event_loop
except ImportError:  # not on Windows
    from asyncio import new_event_loop

_T = TypeVar("_T")


class LoopThread:
    """Start it, `post` or `call` functions into it, stop it."""

    def __init__(self, name: str) -> None:
        self.loop: asyncio.AbstractEventLoop = new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def _run(self) -> None:
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    def post(self, function: Callable[[], object]) -> None:
        """Have a function called in the thread, in the order of posting."""
        self.loop.call_soon_threadsafe(function)

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
