"""CSM in an engine that several speech servers of this machine share (`engine_host.py`), seen from one of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import structlog
import uvloop

from tts_engine.backend.csm_engine import EngineEvent, Failed, Finished, Job, Refused, Sink
from tts_engine.backend.engine_wire import (
    Abort,
    EngineDescription,
    EngineMessage,
    EngineState,
    EngineUnpacker,
    ReadAhead,
    Submit,
    ToEngine,
    pack,
)
from tts_engine.errors import SpeechCapacityError, SpeechUnavailableError
from tts_engine.model.prompt import Prompt

START_TIMEOUT_S = 900.0  # as long as the engine itself may take to start
HELD_BYTES = 32 * 1024 * 1024  # of an engine that reads nothing: a thousand prompts, then it counts as gone
_RETRY_S = 0.5
_LEAVE_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)


class RemoteEngine:
    """See `CsmEngine`. An engine that goes away is looked for until it is there again."""

    def __init__(self, path: Path, wanted: EngineDescription, *, start_timeout_s: float = START_TIMEOUT_S) -> None:
        """`wanted` is what prompts are made for; its `streams` are the engine's to say."""
        self.failure = "the engine is not looked for yet"
        self._path, self._wanted, self._start_timeout_s = path, wanted, start_timeout_s
        self._streams = wanted.streams
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._sink: Sink = lambda _: None
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="csm-engine", daemon=True)
        self._transport: asyncio.WriteTransport | None = None
        self._speaks: Future[None] = Future()
        self._link: asyncio.Task[None] | None = None

    @property
    def capacity(self) -> int:
        return self._streams

    def start(self, sink: Sink) -> None:
        """Return when it can speak; raises SpeechUnavailableError if it is another engine, or none in time."""
        self._sink = sink
        self._thread.start()
        self._loop.call_soon_threadsafe(self._begin)
        try:
            self._speaks.result(self._start_timeout_s)
        except TimeoutError:
            raise SpeechUnavailableError(self.failure) from None

    def close(self) -> None:
        """Leave the engine, which ends what runs there. Idempotent."""
        if self._loop.is_closed():
            return
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_LEAVE_TIMEOUT_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_LEAVE_TIMEOUT_S)
        self._loop.close()
        self.failure = "the engine is left"

    def submit(self, job: Job) -> None:
        with self._lock:
            if len(self._running) >= self._streams:
                raise SpeechCapacityError(f"all {self._streams} streams are taken")
            self._running.add(job.key)
        self._loop.call_soon_threadsafe(self._say, Submit(job))

    def abort(self, key: int) -> None:
        with self._lock:
            if key not in self._running:
                return
            self._running.discard(key)
        self._loop.call_soon_threadsafe(self._say, Abort(key))

    def read_ahead(self, prompt: Prompt) -> None:
        self._loop.call_soon_threadsafe(self._say, ReadAhead(prompt))

    # on the loop's thread

    def _begin(self) -> None:
        self._link = self._loop.create_task(self._keep_linked())

    async def _end(self) -> None:
        if self._link is not None:
            self._link.cancel()
            await asyncio.gather(self._link, return_exceptions=True)

    def _say(self, message: ToEngine) -> None:
        if isinstance(message, Submit) and message.job.key not in self._running:
            return  # it was lost with the engine that was there when it was submitted
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack(message, _key(message)))
            if self._transport.get_write_buffer_size() > HELD_BYTES:
                log.error("speech_engine_stalls", path=str(self._path))
                self._transport.abort()
        elif self._transport is None:  # else who waits for its end sees to it
            self._fail_all()

    async def _keep_linked(self) -> None:
        said = ""
        while True:
            link = _Link(EngineUnpacker(self._wanted.codebooks), self._await_word, self._hear)
            try:
                self._transport, _ = await self._loop.create_unix_connection(lambda link=link: link, str(self._path))
            except OSError as error:
                self.failure = (
                    f"no engine at {self._path} ({error.strerror or error}); start one with `zeng tts engine`"
                )
            else:
                try:
                    fault = await link.gone
                    self.failure = f"the engine at {self._path}{f': {fault}' if fault else ' has gone away'}"
                finally:
                    self._transport.abort()
                    self._transport = None
                    self._fail_all()
            if self.failure != said:
                said = self.failure
                log.warning("speech_engine_away", failure=said)
            await asyncio.sleep(_RETRY_S)

    def _await_word(self) -> None:
        self.failure = f"the engine at {self._path} starts"  # until it says that it can speak

    def _hear(self, messages: list[EngineMessage]) -> None:
        events = list[EngineEvent]()
        for message in messages:
            self._take(message, events)
        ended = {event.key for event in events if isinstance(event, Finished | Failed | Refused)}
        with self._lock:
            self._running -= ended
        if events:
            self._sink(events)

    def _take(self, message: EngineMessage, events: list[EngineEvent]) -> None:
        match message:
            case EngineDescription():
                self._meet(message)
            case EngineState(failure):
                self.failure = failure
                if not failure and not self._speaks.done():
                    self._speaks.set_result(None)
                log.info("speech_engine_state", failure=failure)
            case Submit() | Abort() | ReadAhead():
                raise ValueError(f"an engine does not say {type(message).__name__}")
            case _:
                events.append(message)

    def _meet(self, found: EngineDescription) -> None:
        """Raise ValueError if the engine is none for our prompts; before the start was over, that ends it."""
        wanted = self._wanted
        faults = [
            f"{name} is {theirs!r} there and {ours!r} here"
            for name, theirs, ours in (
                ("the model", found.model, wanted.model),
                ("the adapter", found.adapter, wanted.adapter),
                ("codebooks", found.codebooks, wanted.codebooks),
                ("a frame in samples", found.frame_samples, wanted.frame_samples),
            )
            if theirs != ours
        ]
        if found.positions < wanted.positions:
            faults.append(f"positions are {found.positions} there and {wanted.positions} here")
        if not faults:
            self._streams = found.streams
            return
        remedy = f"{'; '.join(faults)}: give `zeng tts engine` and `zeng tts serve` the same [tts.csm]"
        if not self._speaks.done():
            self._speaks.set_exception(SpeechUnavailableError(f"the engine at {self._path}: {remedy}"))
        raise ValueError(remedy)

    def _fail_all(self) -> None:
        with self._lock:
            lost, self._running = self._running, set[int]()
        if lost:
            self._sink([Failed(key, self.failure) for key in lost])


class _Link(asyncio.BufferedProtocol):
    """What comes over one connection goes to `hear`, which raises ValueError if it is nothing of an engine's."""

    def __init__(
        self, unpacker: EngineUnpacker, made: Callable[[], None], hear: Callable[[list[EngineMessage]], None]
    ) -> None:
        self._unpacker, self._made, self._hear = unpacker, made, hear
        self.gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()  # and why, if it says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: ARG002 - asyncio's signature
        self._made()  # before the first word comes, which may be sooner than whoever connects goes on

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._unpacker.room()

    def buffer_updated(self, nbytes: int) -> None:
        try:
            if not self.gone.done():
                self._hear(self._unpacker.received(nbytes))
        except ValueError as error:
            self.gone.set_result(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.gone.done():
            self.gone.set_result(str(exc or ""))


def _key(message: ToEngine) -> int:
    match message:
        case Submit(job):
            return job.key
        case Abort(key):
            return key
        case ReadAhead():
            return 0
