"""When Python's collector may walk: not while somebody listens, for nothing that the server makes waits for it.

Reference counts free all that is let go of: no utterance, whole, cut off or refused, and no connection leaves a cycle
(tests/integration/tts_engine/test_vllm_server.py holds the server to that). A cycle in each fifth utterance, 40 objects
and 50 kB, once was 80 MB a minute at 160 utterances a second, and the walk that found them took 2.1 s: most of what
such a walk costs is what it frees, 2 to 6 us an object. What stands costs 0.6 to 0.9: a connection with its utterance
is 265 objects and a turn that is kept 10, so 1,024 that speak are walked in 160 to 240 ms and 2,048 in 350 (docs/
benchmarks.md), which is all that a stream may have to spare. The young are no cheaper, since what speaks is young; and
what is frozen, so as not to be walked, would not be found when its turn has come. So a walk waits for silence, and
memory that grows by far more than all streams take has one made in the middle of speech, which is logged: something new
leaves cycles.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from collections.abc import Callable

import structlog

EVERY_S = 60.0  # of silence at most one walk
MOST_GARBAGE_BYTES = 1 << 29  # what memory may grow by before a walk is made all the same; 2,048 histories are half
STREAM_BYTES = 1 << 20  # and by each stream that spoke at once since: with its history and its buffers 0.3 to 0.8 MB
_LOOK_S = 1.0

log = structlog.get_logger(__name__)


def hold_back() -> None:
    """Leave what stands now out of all walks, and walk on demand only."""
    gc.collect()
    gc.freeze()
    gc.disable()


async def collect_in_silence(streams: Callable[[], int], clock: Callable[[], float]) -> None:
    """Walk when nobody is spoken to; runs until it is cancelled. `streams` says to how many."""
    walked_at, walked_bytes, most_streams = clock(), _most_memory_bytes(), 0
    while True:
        await asyncio.sleep(_LOOK_S)
        speaking = streams()
        most_streams = max(most_streams, speaking)  # memory, too, is the most that it was: it does not fall as they end
        grown_bytes = _most_memory_bytes() - walked_bytes
        too_much = grown_bytes >= MOST_GARBAGE_BYTES + most_streams * STREAM_BYTES
        if too_much or (not speaking and clock() - walked_at >= EVERY_S):
            began = time.perf_counter()
            found = gc.collect()
            if too_much:
                took_ms = round((time.perf_counter() - began) * 1000)
                log.warning("memory_walked", grown_mb=grown_bytes >> 20, streams=speaking, found=found, took_ms=took_ms)
            walked_at, walked_bytes, most_streams = clock(), _most_memory_bytes(), speaking


def _most_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
