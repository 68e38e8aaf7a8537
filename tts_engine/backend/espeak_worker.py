"""`EspeakWorker`: keeps one espeak-ng process alive and gives it jobs from a queue that all workers share."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from pathlib import Path

import structlog

from tts_engine.backend import espeak_process
from tts_engine.backend.espeak_process import AUDIO, END, FAILED, FRAME_FRONT, READY, EspeakJob
from tts_engine.errors import SpeechEngineError, SpeechError, SpeechUnavailableError

log = structlog.get_logger(__name__)

_START_TIMEOUT_S = 10.0
_RESTART_DELAYS_S = (0.0, 0.1, 0.5, 2.0, 5.0)
_MAX_ATTEMPTS = 2
_PROJECT = Path(espeak_process.__file__).parents[2]


class PieceOfSpeech:
    """One job, and its audio as it comes. Nobody waits for who listens: a piece is short, and kept whole."""

    def __init__(self, job: EspeakJob) -> None:
        self.job = job
        self.wanted = True  # False: who asked has gone
        self.begun = False  # some of it was heard
        self.attempts = 0
        self._audio: asyncio.Queue[bytes | SpeechError | None] = asyncio.Queue()

    def add(self, pcm: bytes) -> None:
        """Give audio to who listens."""
        self.begun = True
        if self.wanted:
            self._audio.put_nowait(pcm)

    def end(self, error: SpeechError | None = None) -> None:
        """Say that no more comes."""
        self._audio.put_nowait(error)

    async def audio(self) -> AsyncGenerator[bytes, None]:
        """Listen. Raises what the worker met."""
        try:
            while (pcm := await self._audio.get()) is not None:
                if isinstance(pcm, SpeechError):
                    raise pcm
                yield pcm
        finally:
            self.wanted = False


class EspeakWorker:
    """One process. A process that dies or hangs fails the job it had, and is started again."""

    def __init__(self, jobs: asyncio.Queue[PieceOfSpeech], *, job_timeout_s: float) -> None:
        self.sample_rate_hz = 0  # of the process; known once it is ready
        self.ready = False
        self._jobs = jobs
        self._job_timeout_s = job_timeout_s
        self._process: Process | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, while there is a process."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the process; raises `SpeechUnavailableError` with the remedy."""
        await self._start_process()
        self._serving = asyncio.create_task(self._serve())

    async def close(self) -> None:
        """End the process."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        await self._end_process()

    async def _serve(self) -> None:
        while True:
            if not self.ready:
                await self._restart()
            piece = await self._jobs.get()
            if piece.wanted:
                await self._speak(piece)

    async def _speak(self, piece: PieceOfSpeech) -> None:
        try:
            async with asyncio.timeout(self._job_timeout_s):
                await self._perform(piece)
        except (TimeoutError, OSError, EOFError) as error:
            self.ready = False
            log.warning("espeak_process_failed", pid=self.pid, error=repr(error))
            self._blame_process(piece)
        except asyncio.CancelledError:
            piece.end(SpeechUnavailableError("the speech server is closing"))
            raise

    def _blame_process(self, piece: PieceOfSpeech) -> None:
        """Let the job be done again if nothing of it was heard: the process may have died before it."""
        if piece.begun or piece.attempts >= _MAX_ATTEMPTS:
            piece.end(SpeechEngineError("the espeak-ng process failed; it is started again"))
        else:
            self._jobs.put_nowait(piece)

    async def _perform(self, piece: PieceOfSpeech) -> None:
        piece.attempts += 1
        process = self._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.write(piece.job.frame())
        await process.stdin.drain()
        while True:
            kind, payload = await self._read()
            if kind == AUDIO:
                piece.add(payload)
            elif kind == END:
                piece.end()
                return
            else:
                piece.end(SpeechEngineError(payload.decode()))
                return

    async def _restart(self) -> None:
        for attempt in range(sys.maxsize):
            await asyncio.sleep(_RESTART_DELAYS_S[min(attempt, len(_RESTART_DELAYS_S) - 1)])
            try:
                await self._start_process()
            except SpeechUnavailableError as error:
                log.warning("espeak_process_not_started", error=str(error))
            else:
                return

    async def _start_process(self) -> None:
        await self._end_process()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            espeak_process.__name__,
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_PROJECT), os.environ.get("PYTHONPATH", "")])},
            start_new_session=True,  # Ctrl-C is for us; the process ends with its standard input
        )
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                kind, payload = await self._read()
        except (TimeoutError, EOFError) as error:
            raise SpeechUnavailableError(f"the espeak-ng process does not start: {error!r}") from error
        if kind == FAILED:
            raise SpeechUnavailableError(f"espeak-ng cannot be loaded: {payload.decode()}")
        assert kind == READY
        self.sample_rate_hz = json.loads(payload)["sample_rate_hz"]
        self.ready = True

    async def _end_process(self) -> None:
        self.ready = False
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()  # it holds nothing that could be lost
        await process.communicate()  # reads what is left, or its pipe would never close

    async def _read(self) -> tuple[bytes, bytes]:
        assert self._process is not None
        assert self._process.stdout is not None
        kind, length = FRAME_FRONT.unpack(await self._process.stdout.readexactly(FRAME_FRONT.size))
        return kind, await self._process.stdout.readexactly(length)
