"""Watches every Python process that is started with this folder on PYTHONPATH: its collector, and uvloop's loop.

What takes longer than `LEAST_MS` goes to the file that WATCH_LOG names: process id, "gc 0" to "gc 2" or "loop", ms.
With WATCH_WHERE, a folder, each process says there where its threads spend their time (watch_where.py).
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LEAST_MS = 10.0
_TICK_S = 0.01
_LOG = os.environ.get("WATCH_LOG")
_began = 0.0


def note(kind: str, took_ms: float) -> None:
    if took_ms >= LEAST_MS:
        with open(str(_LOG), "a", encoding="utf-8") as log:  # noqa: PTH123 - at a time when nothing is imported yet
            log.write(f"{os.getpid()} {kind} {took_ms:.1f}\n")


def on_collection(phase: str, info: dict[str, int]) -> None:
    global _began  # noqa: PLW0603 - one collector a process
    if phase == "start":
        _began = time.perf_counter()
    else:
        note(f"gc {info['generation']}", (time.perf_counter() - _began) * 1000)


def watch_loop(make: Callable[[], Any]) -> Callable[[], Any]:
    def watched() -> Any:
        loop = make()

        def tick(due: float) -> None:
            now = loop.time()
            note("loop", (now - due) * 1000)
            loop.call_later(_TICK_S, tick, now + _TICK_S)

        loop.call_soon(tick, loop.time())
        return loop

    return watched


if _LOG:
    gc.callbacks.append(on_collection)
    try:
        import uvloop

        uvloop.new_event_loop = watch_loop(uvloop.new_event_loop)
    except ImportError:
        pass

if _WHERE := os.environ.get("WATCH_WHERE"):
    from watch_where import watch

    def _watch() -> None:
        watch(Path(str(_WHERE)) / str(os.getpid()))

    _watch()
    os.register_at_fork(after_in_child=_watch)

if _STEPS := os.environ.get("WATCH_STEPS"):
    from watch_steps import watch as watch_steps

    def _watch_steps() -> None:
        watch_steps(Path(str(_STEPS)))

    _watch_steps()
    os.register_at_fork(after_in_child=_watch_steps)
