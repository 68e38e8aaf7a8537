"""When Python's collector may walk: not while somebody listens.

A connection is 265 objects. At 2,048 of them a walk takes 350 ms (docs/benchmarks.md), while nobody is sent anything.
The young are no cheaper: under load as many objects go as come, so a walk is seldom due and finds all that were made
since the last one and still live. At 2,000 streams it took 46 ms. Reference counts free what the server lets go of, an
utterance that was cut off too; what is left in cycles waits for a moment of silence, or until it is too much.
"""

from __future__ import annotations

import asyncio
import gc
import resource
from collections.abc import Callable

EVERY_S = 60.0  # of silence at most one walk
MOST_GARBAGE_BYTES = 1 << 29  # what memory may grow by before a walk is made all the same
STREAM_BYTES = 1 << 21  # and by each stream that speaks: a connection takes 1 MB, and speaks half of the time
_LOOK_S = 1.0


def hold_back() -> None:
    """Leave what stands now out of all walks, and walk on demand only."""
    gc.collect()
    gc.freeze()
    gc.disable()


async def collect_in_silence(streams: Callable[[], int], clock: Callable[[], float]) -> None:
    """Walk when nobody is spoken to; runs until it is cancelled. `streams` says to how many."""
    walked_at, walked_bytes = clock(), _most_memory_bytes()
    while True:
        await asyncio.sleep(_LOOK_S)
        due = not streams() and clock() - walked_at >= EVERY_S
        if due or _most_memory_bytes() - walked_bytes >= MOST_GARBAGE_BYTES + streams() * STREAM_BYTES:
            gc.collect()
            walked_at, walked_bytes = clock(), _most_memory_bytes()


def _most_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
