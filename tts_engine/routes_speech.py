"""`POST /v1/audio/speech`: one request, its audio as the answer."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncGenerator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tts_engine.audio_formats import MEDIA_TYPES, wav_header
from tts_engine.engine.engine import SpeechEngine
from tts_engine.engine.utterance import Utterance
from tts_engine.error_codes import body_of
from tts_engine.errors import SpeechError, SpeechRequestError
from tts_engine.http_body import read_body
from tts_engine.metrics import SpeechMetrics
from tts_engine.openai_speech import CreateSpeech, as_openai_names_it
from tts_engine.protocol import parse_body
from tts_engine.routes_stream import StreamLimits
from tts_engine.transcoder import Transcoder, check_encodable

ENCODERS = 2  # threads for all streams' pieces, a piece at a time: the voices need processors too

log = structlog.get_logger(__name__)


def speech_routes(engine: SpeechEngine, metrics: SpeechMetrics, limits: StreamLimits) -> APIRouter:
    """Make the route."""
    router = APIRouter()
    encoders = ThreadPoolExecutor(ENCODERS, thread_name_prefix="speech-encoder")

    @router.post("/v1/audio/speech")
    async def create_speech(request: Request) -> Response:
        asked = parse_body(CreateSpeech, await read_body(request, timeout_s=limits.body_timeout_s))
        await check_encodable(asked.response_format, encoders)  # what cannot be encoded is not spoken first
        return SpeechResponse(engine, metrics, asked, encoders, stall_timeout_s=limits.stall_timeout_s)

    return router


class SpeechResponse(Response):
    """Speaks while it is sent. An error before the first audio is an HTTP error; after it, a broken body."""

    def __init__(
        self,
        engine: SpeechEngine,
        metrics: SpeechMetrics,
        asked: CreateSpeech,
        encoders: Executor,
        *,
        stall_timeout_s: float,
    ) -> None:
        super().__init__()
        self._engine = engine
        self._metrics = metrics
        self._asked = asked
        self._request = asked.request()
        self._encoders = encoders
        self._stall_timeout_s = stall_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's signature
        """Send the answer; a client that goes away, or takes nothing for too long, stops the voice."""
        speaking = asyncio.create_task(self._speak(send))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({speaking, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not speaking.done():
                speaking.cancel()
            await asyncio.gather(speaking, gone, return_exceptions=True)
        if not speaking.cancelled():
            speaking.result()

    async def _speak(self, send: Send) -> None:
        answer = _Answer(send, self._stall_timeout_s)
        try:
            async with self._engine.speak(self._request) as utterance, aclosing(utterance.audio()) as audio:
                # The headers wait for the first sound: until then a failure is a status of its own.
                first = await anext(audio, b"")
                headers = _headers(utterance)
                if self._asked.streamed:
                    await self._stream(answer, headers, first, audio, utterance)
                else:
                    await self._send_whole(answer, headers, first, audio)
        except SpeechError as error:
            if not answer.started:
                if isinstance(error, SpeechRequestError):
                    raise as_openai_names_it(error) from error
                raise
            log.warning("speech_broke_off", error=str(error))
            if self._asked.stream_format == "sse":
                await answer.end(_event("error", body_of(error).model_dump()))
        except TimeoutError:
            self._metrics.slow_clients.inc()
            log.warning("slow_client_cut")

    async def _stream(
        self,
        answer: _Answer,
        headers: dict[str, str],
        first: bytes,
        audio: AsyncGenerator[bytes, None],
        utterance: Utterance,
    ) -> None:
        asked = self._asked
        in_events = asked.stream_format == "sse"
        coder = await Transcoder.of(asked.response_format, asked.sample_rate, self._encoders)
        headers["content-type"] = "text/event-stream" if in_events else MEDIA_TYPES[asked.response_format]
        await answer.start(headers)
        await answer.send(_piece(await coder.feed(first), in_events=in_events))
        async for pcm in audio:
            await answer.send(_piece(await coder.feed(pcm), in_events=in_events))
        last = _piece(await coder.flush(), in_events=in_events)
        await answer.end(last + _done(utterance) if in_events else last)

    async def _send_whole(
        self, answer: _Answer, headers: dict[str, str], first: bytes, audio: AsyncGenerator[bytes, None]
    ) -> None:
        asked = self._asked
        wav = asked.response_format == "wav"  # whose header says how long the rest is
        coder = await Transcoder.of("pcm" if wav else asked.response_format, asked.sample_rate, self._encoders)
        pieces = [await coder.feed(first)]
        pieces += [await coder.feed(pcm) async for pcm in audio]
        body = b"".join([*pieces, await coder.flush()])
        if wav:
            body = wav_header(asked.sample_rate, len(body)) + body
        await answer.start(
            headers | {"content-type": MEDIA_TYPES[asked.response_format], "content-length": str(len(body))}
        )
        await answer.end(body)


class _Answer:
    """An HTTP answer in pieces, each of which must be taken in time."""

    def __init__(self, send: Send, stall_timeout_s: float) -> None:
        self.started = False
        self._send = send
        self._stall_timeout_s = stall_timeout_s

    async def start(self, headers: dict[str, str]) -> None:
        self.started = True
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})

    async def send(self, body: bytes) -> None:
        if body:
            await self._send_body(body, more=True)

    async def end(self, body: bytes) -> None:
        await self._send_body(body, more=False)

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        async with asyncio.timeout(self._stall_timeout_s):
            await self._send({"type": "http.response.body", "body": body, "more_body": more})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers(utterance: Utterance) -> dict[str, str]:
    used = utterance.context_used
    return {
        "cache-control": "no-store",
        "x-turn-id": utterance.turn_id,
        "x-context-seconds": f"{used.seconds:g}",
    }


def _piece(data: bytes, *, in_events: bool) -> bytes:
    if not in_events or not data:
        return data
    return _event("speech.audio.delta", {"type": "speech.audio.delta", "audio": b64encode(data).decode()})


def _done(utterance: Utterance) -> bytes:
    done = {
        "type": "speech.audio.done",
        "turn_id": utterance.turn_id,
        "duration_s": round(utterance.duration_s, 3),
        "truncated": utterance.truncated,
        "context_used": utterance.context_used.model_dump(),
    }
    return _event("speech.audio.done", done)


def _event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
