"""Waiting for what must come, and knowing how well the machine kept time, on a machine that may be busy."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HUNG_S = 30.0
"""After so long what a test waits for counts as hung. Nothing is measured by it: it is ten times what a loaded machine
takes, and less than 64 * T1 of SIP (RFC 3261), whose timeouts would end what hangs and hide it."""

START_S = 120.0
"""The same for a process that starts: its imports alone take a loaded machine half a minute."""

_TICK_S = 0.005


async def eventually(truth: Callable[[], object]) -> None:
    """Return once `truth()` is true."""
    async with asyncio.timeout(HUNG_S):
        while not truth():
            await asyncio.sleep(0.005)


class HeldUp:
    """What a thread that only sleeps was late by: the share of a test's lateness that is the machine's, not ours."""

    def __init__(self) -> None:
        self.worst_ms = 0.0
        self.sum_ms = 0.0  # of all times that were late by more than a tick
        self._over = threading.Event()

    def watch(self) -> None:
        due = time.monotonic() + _TICK_S
        while not self._over.wait(max(0.0, due - time.monotonic())):
            late_s = time.monotonic() - due
            self.worst_ms = max(self.worst_ms, 1000 * late_s)
            if late_s > _TICK_S:
                self.sum_ms += 1000 * late_s
            due = time.monotonic() + _TICK_S

    def end(self) -> None:
        self._over.set()


@contextmanager
def machine_watched() -> Iterator[HeldUp]:
    """Add up what the machine holds this process up by; on an idle one some ms in all."""
    held_up = HeldUp()
    thread = threading.Thread(target=held_up.watch)
    thread.start()
    try:
        yield held_up
    finally:
        held_up.end()
        thread.join()
