"""vLLM's process: started, lost, started anew. Its front end lives in a thread with an event loop, which it needs."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvloop

from tts_engine.backend.vllm_plugin.inlet import Inlet
from tts_engine.backend.vllm_plugin.runners import admit_any_id
from tts_engine.backend.vllm_plugin.short_turns import take_short_turns
from tts_engine.backend.vllm_plugin.wire import Keys, Rows

START_TIMEOUT_S = 900.0  # loading, compiling and capturing on a cold machine
_LEAVE_TIMEOUT_S = 30.0
_WATCH_S = 0.5
_RETRY_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # between two starts that failed; the last one from then on

log = structlog.get_logger(__name__)


class VllmProcess:
    """`take` gets the frames, `lost` is called when the process has gone, both on threads of ours.

    A process that goes away is started anew until one stays or `close` is called; `failure` is not empty meanwhile.
    """

    def __init__(
        self,
        arguments: Callable[[Path], Mapping[str, Any]],
        *,
        take: Callable[[Keys, Rows], None],
        lost: Callable[[], None],
        hung: Callable[[], bool],
    ) -> None:
        """`arguments` of vLLM's `AsyncEngineArgs`, given the socket that the plugin sends to.

        `hung` is asked twice a second, on the loop's thread, whether the process is to be given up.
        """
        self.failure = "the engine is not started"
        self._arguments, self._take, self._lost, self._hung = arguments, take, lost, hung
        self._closing = False
        self._place = tempfile.TemporaryDirectory(prefix="zeng-csm-")
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="csm-vllm", daemon=True)
        self._inlet: Inlet | None = None
        self._llm: Any = None
        self._starts = 0
        self._last_lost = 0  # which start's process was the last to go
        self._lock = threading.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Return when it can speak; raises what vLLM raises."""
        take_short_turns()
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result(START_TIMEOUT_S)
        self._started()

    def close(self) -> None:
        """Stop the process. Idempotent."""
        if self._closing:
            return
        self._closing = True
        self.failure = self.failure or "the engine is closed"
        if self._thread.is_alive():
            self._leave(asyncio.run_coroutine_threadsafe(self._end(), self._loop))
        if self._inlet is not None:
            self._inlet.close()
        if not self._thread.is_alive():  # else vLLM holds the loop in the middle of a start; it ends with this process
            self._loop.close()
        self._place.cleanup()

    def call_soon(self, function: Callable[..., None], *arguments: object) -> None:
        """Call on the loop's thread, where `spawn` and `generate` may be used."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run as a task, which `close` cancels."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def generate(self, prompt: Mapping[str, Any], parameters: object, request_id: str) -> AsyncGenerator[Any, None]:
        """Hold a request in vLLM; leaving aborts it."""
        return self._llm.generate(prompt, parameters, request_id)

    def look(self) -> None:
        """See whether vLLM calls itself dead: its engine may be, while the worker that sends frames is not yet."""
        if self._llm is not None and self._llm.errored:
            self._gone(self._starts)

    def _leave(self, ending: Future[None]) -> None:
        try:
            ending.result(_LEAVE_TIMEOUT_S)
        except TimeoutError:
            log.warning("vllm_does_not_end", remedy="its process ends with this one")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LEAVE_TIMEOUT_S)

    # on the loop's thread

    async def _begin(self) -> None:
        from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - only where it is used
        from vllm.v1.engine.async_llm import AsyncLLM  # noqa: PLC0415  # pyright: ignore[reportMissingImports] - see above

        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        self._starts += 1
        path = Path(self._place.name) / f"frames-{self._starts}.sock"
        self._inlet = Inlet(path, self._take, partial(self._gone, self._starts))
        self._llm = AsyncLLM.from_engine_args(AsyncEngineArgs(**self._arguments(path)))
        admit_any_id(self._llm)
        self.spawn(self._watch(self._starts))

    async def _watch(self, start: int) -> None:
        while start == self._starts and self._last_lost != start:
            await asyncio.sleep(_WATCH_S)
            self.look()
            if self._hung():
                log.error("vllm_hung", start=start)
                self._gone(start, "answers nobody")

    async def _end(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._llm is not None:
            self._llm.shutdown()

    async def _begin_anew(self) -> None:
        """Until it stays. What is left of the old process goes first: it may hold the GPU's memory."""
        attempt = 0
        while True:
            if self._llm is not None:
                self._llm.shutdown()
                self._llm = None
            if self._inlet is not None:
                self._inlet.close()
                self._inlet = None
            try:
                await self._begin()
            except Exception as error:
                wait_s = _RETRY_S[min(attempt, len(_RETRY_S) - 1)]
                log.exception("vllm_does_not_start", error=str(error), next_try_in_s=wait_s)
                attempt += 1
                await asyncio.sleep(wait_s)
            else:
                self._started()
                log.warning("vllm_started_anew", starts=self._starts)
                return

    def _started(self) -> None:
        with self._lock:
            self.failure = ""
            lost = self._last_lost == self._starts
        if lost:  # in the instant after it was ready
            self._gone(self._starts)

    # on the inlet's thread, or the loop's

    def _gone(self, start: int, why: str = "has gone away") -> None:
        with self._lock:
            self._last_lost = start
            if self.failure:  # it is closed, or not ready yet: who starts it sees to it
                return
            self.failure = f"vLLM's process {why} and is started anew"
        log.error("vllm_lost", start=start)
        self._lost()
        self._loop.call_soon_threadsafe(lambda: self.spawn(self._begin_anew()))
