"""When Python's collector may walk all there is: not while somebody listens.

A connection is 265 objects. At 2,048 of them a walk takes 350 ms (docs/benchmarks.md), while nobody is sent anything,
and left alone the collector walks whenever a quarter more has come to stay. Reference counts free what the
server lets go of; what is left in cycles waits for a moment of silence, or until it is too much.
"""

from __future__ import annotations

import asyncio
import gc
import resource
from collections.abc import Callable

EVERY_S = 60.0  # of silence at most one walk
MOST_GARBAGE_BYTES = 1 << 29  # what memory may grow by before a walk is made all the same
_LOOK_S = 1.0
_NEVER = 1 << 30


def hold_back() -> None:
    """Leave what stands now out of all walks, and walk what comes to stay on demand only."""
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)


async def collect_in_silence(silent: Callable[[], bool], clock: Callable[[], float]) -> None:
    """Walk when nobody is spoken to; runs until it is cancelled."""
    walked_at, walked_bytes = clock(), _most_memory_bytes()
    while True:
        await asyncio.sleep(_LOOK_S)
        due = silent() and clock() - walked_at >= EVERY_S
        if due or _most_memory_bytes() - walked_bytes >= MOST_GARBAGE_BYTES:
            gc.collect()
            walked_at, walked_bytes = clock(), _most_memory_bytes()


def _most_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
