"""A bounded line of recognitions before a few threads; a job that nobody waits for any more leaves the line."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from bot.recognition.whisper import Heard, Request


class LineFullError(Exception):
    """Too many recognitions are waiting; try again after `retry_after_s`."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"the recogniser is busy; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Model(Protocol):
    """What the line runs, in a thread."""

    def transcribe(self, request: Request, *, stopped: Callable[[], bool]) -> Heard:
        """Read one utterance; raise `Stopped` as soon as `stopped()` is seen to be true."""
        ...


@dataclass(frozen=True, slots=True)
class Done:
    """A result and how long it waited for a thread."""

    heard: Heard
    queued_s: float


class RecognitionLine:
    """Runs recognitions in the order of their coming, `workers` at a time, at most `limit` waiting or running."""

    def __init__(self, model: Model, *, workers: int, limit: int) -> None:
        self._model = model
        self._workers = workers
        self._limit = limit
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="recognition")
        self._held = 0
        self._typical_s = 0.5  # one recognition; follows the last ones
        self._lock = threading.Lock()

    @property
    def length(self) -> int:
        """Recognitions waiting or running."""
        return self._held

    async def recognise(self, request: Request) -> Done:
        """Wait for a turn and for the result. Cancelling leaves the line, or stops the model half-way."""
        with self._lock:
            if self._held >= self._limit:
                raise LineFullError(math.ceil(self._held * self._typical_s / self._workers))
            self._held += 1
        stop = threading.Event()
        future = self._pool.submit(self._run, request, stop, perf_counter())
        future.add_done_callback(lambda _: self._left())
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            stop.set()
            raise

    def close(self) -> None:
        """Take no more; what runs ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, request: Request, stop: threading.Event, came_at: float) -> Done:
        began = perf_counter()
        heard = self._model.transcribe(request, stopped=stop.is_set)
        self._typical_s += 0.2 * (perf_counter() - began - self._typical_s)
        return Done(heard=heard, queued_s=began - came_at)

    def _left(self) -> None:
        with self._lock:
            self._held -= 1
