"""An engine that several speech servers of this machine share: they connect to a Unix socket (`engine_wire.py`).

One interpreter carries some 1,500 streams of one GPU (ADR 17): sockets, sessions and conversations are what fills it.
Those are the servers' then, and what is left here is vLLM's front end and passing frames on.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from socket import socket

import structlog

from tts_engine.backend.csm_engine import CsmEngine, EngineEvent, Failed, Finished, Job, Refused
from tts_engine.backend.engine_wire import (
    Abort,
    EngineDescription,
    EngineState,
    EngineUnpacker,
    ReadAhead,
    Submit,
    buffers,
    pack,
)
from tts_engine.errors import SpeechCapacityError, SpeechUnavailableError

HELD_BYTES = 64 * 1024 * 1024  # of a server that reads nothing, and then it is cut
HELD_JOB_BYTES = 1024 * 1024  # more for each of its jobs, 20 s of sound: a server may stall, and its calls are many
LEAVE_TIMEOUT_S = 2.0
LOOK_S = 0.25  # within which servers hear that the engine fails, or speaks again
_READ_BYTES = 1 << 18

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Server:
    """A speech server; `keys` of its jobs that run here, by its own keys."""

    writer: asyncio.StreamWriter
    keys: dict[int, int] = field(default_factory=dict[int, int])


class EngineHost:
    """Serves one engine. All but `close` on one event loop, which is the caller's."""

    def __init__(self, engine: CsmEngine, description: EngineDescription) -> None:
        self._engine, self._description = engine, description
        self._keys = itertools.count(1)
        self._owners: dict[int, tuple[_Server, int]] = {}  # by the engine's key: whose job it is, and its name there
        self._servers: set[_Server] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._leaving = ""
        self._told = ""  # the failure that the servers know of
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def streams(self) -> int:
        """How many are spoken to now."""
        return len(self._owners)

    async def run(self, listener: socket, on_ready: Callable[[], None]) -> None:
        """Start the engine and serve it until cancelled; raises `SpeechUnavailableError` if it does not start."""
        loop = asyncio.get_running_loop()

        def sink(events: Sequence[EngineEvent]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._pass_on, events)

        try:
            await asyncio.to_thread(self._engine.start, sink)
        except Exception as error:
            raise SpeechUnavailableError(f"the speech engine does not start: {error}") from error
        async with await asyncio.start_unix_server(self._serve, sock=listener):
            on_ready()
            try:
                await self._tell_failures()
            finally:
                await self._leave()

    async def close(self) -> None:
        """Stop the engine."""
        await asyncio.to_thread(self._engine.close)

    async def drain(self) -> None:
        """Take no new job, and wait until none runs."""
        self._leaving = "the engine is about to end"
        await self._idle.wait()

    async def _leave(self) -> None:
        """Let servers have what is on its way to them."""
        for server in self._servers:
            server.writer.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server, task = _Server(writer), asyncio.current_task()
        assert task is not None
        self._servers.add(server)
        self._serving.add(task)
        log.info("speech_server_came", servers=len(self._servers))
        writer.write(pack(self._description) + pack(EngineState(self._failure)))
        unpacker = EngineUnpacker(self._description.codebooks)
        try:
            while data := await reader.read(_READ_BYTES):
                unpacker.room()[: len(data)] = data
                for message in unpacker.received(len(data)):
                    if writer.is_closing():  # it was cut by us, or nobody hears an answer
                        break
                    match message:
                        case Submit(job):
                            self._submit(server, job)
                        case Abort(key):
                            self._abort(server, key)
                        case ReadAhead(prompt):
                            if not self._failure:
                                self._engine.read_ahead(prompt)
                        case _:
                            raise ValueError(f"a server does not say {type(message).__name__}")  # noqa: TRY301 - as what cannot be read
        except (OSError, ValueError) as error:
            log.warning("speech_server_cut", error=str(error))
        finally:
            self._servers.discard(server)
            for key in list(server.keys):
                self._abort(server, key)
            writer.transport.abort()
            self._serving.discard(task)
            log.info("speech_server_left", servers=len(self._servers))

    def _submit(self, server: _Server, job: Job) -> None:
        if failure := self._failure:
            server.writer.write(pack(Failed(job.key, failure), job.key))
            return
        key = next(self._keys)
        try:
            self._engine.submit(replace(job, key=key))
        except SpeechCapacityError as error:
            server.writer.write(pack(Refused(job.key, str(error)), job.key))
            return
        self._owners[key] = server, job.key
        server.keys[job.key] = key
        self._idle.clear()

    def _abort(self, server: _Server, key: int) -> None:
        if (own := server.keys.pop(key, None)) is not None:
            self._forget(own)
            self._engine.abort(own)

    def _pass_on(self, events: Sequence[EngineEvent]) -> None:
        parts: defaultdict[_Server, list[bytes]] = defaultdict(list)
        for event in events:
            owner = self._owners.get(event.key)
            if owner is None:  # it was aborted
                continue
            server, key = owner
            parts[server] += buffers(event, key)
            if isinstance(event, Finished | Failed):
                self._forget(event.key)
                del server.keys[key]
        for server, packed in parts.items():
            if server.writer.is_closing():  # its jobs are aborted in a moment; uvloop raises at who writes to it
                continue
            server.writer.writelines(packed)
            held = server.writer.transport.get_write_buffer_size()
            if held > HELD_BYTES + len(server.keys) * HELD_JOB_BYTES:
                log.error("speech_server_stalls", held_bytes=held)
                server.writer.transport.abort()

    def _forget(self, key: int) -> None:
        del self._owners[key]
        if not self._owners:
            self._idle.set()

    async def _tell_failures(self) -> None:
        while True:
            if (failure := self._failure) != self._told:
                self._told = failure
                for server in self._servers:
                    if not server.writer.is_closing():
                        server.writer.write(pack(EngineState(failure)))
            await asyncio.sleep(LOOK_S)

    @property
    def _failure(self) -> str:
        return self._engine.failure or self._leaving
