"""`WS /v1/audio/speech/stream`: the shell around `SpeechSession`."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import assert_never

import structlog
from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from tts_engine.engine.engine import SpeechEngine
from tts_engine.error_codes import message_of
from tts_engine.errors import SpeechCapacityError, SpeechEngineError, SpeechError
from tts_engine.metrics import SpeechMetrics
from tts_engine.outbox import Outbox, Outgoing
from tts_engine.patience import Patience
from tts_engine.protocol import SAMPLE_RATE_HZ, STREAM_PATH, TRY_AGAIN_LATER
from tts_engine.resample import StreamResampler
from tts_engine.session import (
    NORMAL_CLOSURE,
    CloseSocket,
    Say,
    SendAudio,
    SendText,
    SessionState,
    SpeechSession,
    StopSaying,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What one connection may cost."""

    max_connections: int = 1024
    send_buffer_bytes: int = 262_144
    stall_timeout_s: float = 5.0
    idle_timeout_s: float = 900.0
    body_timeout_s: float = 10.0  # of a request by HTTP


def stream_routes(engine: SpeechEngine, metrics: SpeechMetrics, limits: StreamLimits) -> APIRouter:
    """Make the route."""
    router = APIRouter()
    connections: set[SpeechSocket] = set()

    @router.websocket(STREAM_PATH)
    async def stream(websocket: WebSocket) -> None:
        await websocket.accept()
        if len(connections) >= limits.max_connections:
            await _turn_away(websocket)
            return
        connection = SpeechSocket(websocket, engine, metrics, limits)
        connections.add(connection)
        metrics.connections.set(len(connections))
        try:
            await connection.serve()
        finally:
            connections.discard(connection)
            metrics.connections.set(len(connections))

    return router


class SpeechSocket:
    """One connection: a reader, a sender, and a speaker while an utterance is spoken."""

    def __init__(
        self, websocket: WebSocket, engine: SpeechEngine, metrics: SpeechMetrics, limits: StreamLimits
    ) -> None:
        self._websocket = websocket
        self._engine = engine
        self._metrics = metrics
        self._limits = limits
        self._session = SpeechSession()
        self._outbox = Outbox(max_audio_bytes=limits.send_buffer_bytes)
        self._speaker: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Serve the connection until either side ends it."""
        reader = asyncio.create_task(self._read())
        sender = asyncio.create_task(self._send())
        try:
            await asyncio.wait({reader, sender}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._session.lost()
            self._act()
            tasks = [task for task in (reader, sender, self._speaker) if task is not None]
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    log.error("speech_connection_failed", error=repr(result))
            self._speaker = None  # the error of one that was cancelled leads back to here: a cycle

    async def _read(self) -> None:
        reading = True
        while reading:
            try:
                async with Patience() as patience:
                    while reading:
                        reading = await self._take_message(patience)
            except TimeoutError:
                if self._session.state is not SessionState.SPEAKING:
                    self._session.close(NORMAL_CLOSURE, "idle")
                    self._act()

    async def _take_message(self, patience: Patience) -> bool:
        """Take one; False: there will be no more."""
        await self._outbox.text_room()  # a client that takes no answers gets none to wait for
        patience.begin(self._limits.idle_timeout_s)
        message = await self._websocket.receive()
        patience.end()
        if message["type"] == "websocket.disconnect":
            return False
        if (text := message.get("text")) is not None:
            self._session.receive(text)
        else:
            self._session.receive_binary()
        self._act()
        return True

    def _act(self) -> None:
        while (action := self._session.poll()) is not None:
            match action:
                case Say():
                    self._speaker = asyncio.create_task(self._say(action, after=self._speaker))
                case StopSaying():
                    if self._speaker is not None:
                        self._speaker.cancel()
                    self._outbox.drop_audio()
                case SendText() | SendAudio() | CloseSocket():
                    self._outbox.put(action)
                case _:
                    assert_never(action)

    async def _say(self, say: Say, *, after: asyncio.Task[None] | None) -> None:
        if after is not None:  # cancelled, and perhaps still giving its place back
            await asyncio.wait({after})
        utterance_index = say.utterance_index
        try:
            async with self._engine.speak(say.request) as utterance:
                self._session.started(utterance_index, utterance.turn_id)
                resampler = StreamResampler(SAMPLE_RATE_HZ, say.sample_rate)
                async with aclosing(utterance.audio()) as audio:
                    async for pcm in audio:
                        await self._pass_on(utterance_index, resampler.feed(pcm))
                await self._pass_on(utterance_index, resampler.flush())
                await self._outbox.sent_all()
            self._session.finished(utterance_index, utterance.context_used, truncated=utterance.truncated)
        except SpeechError as error:
            self._session.failed(utterance_index, error)
        except Exception as error:
            self._session.failed(utterance_index, SpeechEngineError("the speech server failed"))
            log.exception("utterance_crashed", error=repr(error))
        self._act()

    async def _pass_on(self, utterance_index: int, pcm: bytes) -> None:
        self._session.audio(utterance_index, pcm)
        self._act()
        await self._outbox.room()

    async def _send(self) -> None:
        """Send what waits. A client that takes nothing for too long is cut; it slows nobody else."""
        try:
            async with Patience() as patience:
                while True:
                    item = await self._outbox.take()
                    patience.begin(self._limits.stall_timeout_s)
                    await self._transmit(item)
                    patience.end()
                    self._outbox.sent(item)
                    if isinstance(item, CloseSocket):
                        return
        except TimeoutError:
            self._metrics.slow_clients.inc()
            log.warning("slow_client_cut", waiting_bytes=self._outbox.audio_bytes)
        except (WebSocketDisconnect, OSError):
            return

    async def _transmit(self, item: Outgoing) -> None:
        match item:
            case SendAudio(pcm):
                await self._websocket.send_bytes(pcm)
            case SendText(text):
                await self._websocket.send_text(text)
            case CloseSocket(code, reason):
                await self._websocket.close(code, reason)
            case _:
                assert_never(item)


async def _turn_away(websocket: WebSocket) -> None:
    error = SpeechCapacityError("every connection is taken")
    await websocket.send_text(message_of(error).model_dump_json())
    await websocket.close(TRY_AGAIN_LATER, "at capacity")
