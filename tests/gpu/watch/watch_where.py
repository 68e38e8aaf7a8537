"""Says where the threads of a process spend their processor time: sampled, by function, without any profiler.

Every `EVERY_S` what a thread has used since the last look is put down to the Python function that it is in, and to the
nearest one of ours. A thread that waits for a GPU by spinning is seen where it waits; one that works in bursts shorter
than a look, with pauses between, is seen where it pauses, so it says most of those that have no pauses. And who looks
has the interpreter: the others are seen where they gave it up, so places that do so by themselves (numpy's loops, zmq,
writing to a socket) are told for more than they take. `cProfile` on `time.thread_time` says what those are worth.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY_S = 0.007
_WRITE_S = 2.0
_OURS = ("tts_engine", "tests")


def watch(place: Path) -> None:
    """Begin; what was found until now is in `place` all the time."""
    threading.Thread(target=_look_for_ever, args=(place,), name="watch-where", daemon=True).start()


def _look_for_ever(place: Path) -> None:
    spent: dict[str, Counter[str]] = {}
    before: dict[int, int] = {}  # microseconds
    write_at = time.monotonic() + _WRITE_S
    while True:
        time.sleep(EVERY_S)
        names = {each.ident: each.name for each in threading.enumerate()}
        for ident, frame in sys._current_frames().items():  # pyright: ignore[reportPrivateUsage] - for debuggers, as this is
            if (name := names.get(ident, "")) in {"", "watch-where"}:
                continue
            try:
                used = time.clock_gettime_ns(time.pthread_getcpuclockid(ident)) // 1000
            except OSError:  # it has just ended
                continue
            spent.setdefault(name, Counter())[_where(frame)] += used - before.get(ident, used)
            before[ident] = used
        if time.monotonic() >= write_at:
            write_at += _WRITE_S
            (place.parent / f"{place.name}.new").write_text(json.dumps(spent), encoding="utf-8")
            (place.parent / f"{place.name}.new").replace(place)


def _where(frame: FrameType) -> str:
    inner = _name(frame)
    walk: FrameType | None = frame
    while walk is not None and not any(part in walk.f_code.co_filename.split("/") for part in _OURS):
        walk = walk.f_back
    return inner if walk is None or walk is frame else f"{inner} for {_name(walk)}"


def _name(frame: FrameType) -> str:
    return f"{'/'.join(frame.f_code.co_filename.split('/')[-2:])}:{frame.f_code.co_name}"
