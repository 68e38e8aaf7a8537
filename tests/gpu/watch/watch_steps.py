"""Says what vLLM's steps are made of and how long each takes: by kind, who is in them, and milliseconds.

A step is timed from one output to the next: two are under way, so while the device is what steps wait for, that is how
long it takes. Every five seconds a table of the steps since goes to standard error.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

_SCHEDULER = "tts_engine.backend.vllm_plugin.scheduler"
_SAY_S = 5.0


def watch(knobs: Path) -> None:
    """Begin where there is a scheduler, as soon as there is; `knobs` may hold how many speak beside a beginning."""
    threading.Thread(target=_wait, args=(knobs,), name="watch-steps", daemon=True).start()


def _wait(knobs: Path) -> None:
    while not hasattr(sys.modules.get(_SCHEDULER), "LeadAwareScheduler"):
        time.sleep(0.2)
    _Steps(sys.modules[_SCHEDULER].LeadAwareScheduler, knobs).say_for_ever()


class _Steps:
    def __init__(self, kind: Any, knobs: Path) -> None:
        self._knobs = knobs
        self._few: int | None = None
        self._under_way: deque[tuple[str, int, int, float]] = deque()
        self._found: list[tuple[str, int, int, float, float]] = []
        self._last = time.perf_counter()
        schedule, update = kind.schedule, kind.update_from_output

        def scheduled(scheduler: Any, *rest: Any, **named: Any) -> Any:
            if self._few is not None:
                scheduler._turns._few = self._few
            began = time.perf_counter()
            output = schedule(scheduler, *rest, **named)
            rows, positions = len(output.num_scheduled_tokens), output.total_num_scheduled_tokens
            if positions:
                new = len(output.scheduled_new_reqs)
                name = "speech" if positions == rows and not new else "both" if rows - new > rows / 2 else "beginnings"
                self._under_way.append((name, rows, positions, time.perf_counter() - began))
            return output

        def updated(scheduler: Any, *rest: Any, **named: Any) -> Any:
            began = time.perf_counter()
            outputs = update(scheduler, *rest, **named)
            if self._under_way:
                name, rows, positions, took = self._under_way.popleft()
                self._found.append((name, rows, positions, began - self._last, took + time.perf_counter() - began))
            self._last = began
            return outputs

        kind.schedule, kind.update_from_output = scheduled, updated

    def say_for_ever(self) -> None:
        while True:
            time.sleep(_SAY_S)
            if self._knobs.exists():
                self._few = int(self._knobs.read_text())
            found, self._found = self._found, []
            for name in ("speech", "both", "beginnings"):
                steps = [each for each in found if each[0] == name and each[3] < 1]
                if steps:
                    ms = sorted(each[3] * 1000 for each in steps)
                    rows, positions, host = (sum(each[n] for each in steps) / len(steps) for n in (1, 2, 4))
                    p50, p95 = ms[len(ms) // 2], ms[int(len(ms) * 0.95)]
                    print(
                        f"steps few={self._few} {name}: {len(steps)}, rows {rows:.0f}, positions {positions:.0f},"
                        f" ms p50 {p50:.1f} p95 {p95:.1f}, scheduler {host * 1000:.1f} ms",
                        file=sys.stderr,
                        flush=True,
                    )
