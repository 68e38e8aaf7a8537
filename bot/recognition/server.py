"""OpenAI's `POST /v1/audio/transcriptions` over a recognition line, with health and metrics."""

from __future__ import annotations

import asyncio
from typing import Protocol

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from bot.recognition import whisper
from bot.recognition.audio import AudioError, samples_of
from bot.recognition.form import RefusedError, TranscriptionFields, Upload, read_upload
from bot.recognition.guards import Judged
from bot.recognition.jobs import Done, LineFullError, RecognitionLine
from bot.recognition.metrics import RecogniserMetrics
from bot.recognition.settings import RecogniserServerSettings

_CLIENT_GONE = 499  # nginx's word for it; nobody reads the answer
_ALIAS = "whisper-1"  # what OpenAI's own clients ask for


class Languages(Protocol):
    """What the routes ask of the model itself."""

    def can_read(self, language: str) -> bool:
        """Whether utterances in a language (ISO 639-1) can be read."""
        ...


class TranscriptionServer:
    """The routes over one model."""

    def __init__(
        self,
        languages: Languages,
        line: RecognitionLine,
        metrics: RecogniserMetrics,
        settings: RecogniserServerSettings,
    ) -> None:
        self._languages = languages
        self._line = line
        self._metrics = metrics
        self._settings = settings

    def app(self) -> FastAPI:
        """Build the ASGI application."""
        app = FastAPI(title="Zəng recogniser", docs_url=None, redoc_url=None, openapi_url=None)
        app.add_api_route("/v1/audio/transcriptions", self.transcribe, methods=["POST"], response_model=None)
        app.add_api_route("/v1/models", self.models, methods=["GET"])
        app.add_api_route("/livez", self.livez, methods=["GET"], response_model=None)
        app.add_api_route("/readyz", self.readyz, methods=["GET"], response_model=None)
        app.add_api_route("/metrics", self.metrics, methods=["GET"], response_model=None)
        return app

    async def transcribe(self, request: Request) -> Response:
        """Read, recognise, judge, answer; a refusal is OpenAI's error object."""
        try:
            upload = await read_upload(request, limit_bytes=self._settings.upload_limit_bytes)
            asked = await self._asked(upload)
            done = await self._while_connected(request, asked)
        except RefusedError as error:
            self._metrics.count("busy" if error.status == 503 else "refused")
            return _refusal(error)
        except ClientDisconnect:  # a bot whose caller spoke on, before all of its upload had come
            return self._gone()
        except Exception:
            self._metrics.count("failed")
            raise
        if done is None:
            return self._gone()
        return self._answer(upload.fields, asked, done)

    async def models(self) -> dict[str, object]:
        """List the one model, as OpenAI lists models."""
        return {
            "object": "list",
            "data": [{"id": self._settings.model, "object": "model", "owned_by": "zeng"}],
        }

    async def livez(self) -> Response:
        """Say that the process answers."""
        return PlainTextResponse("ok")

    async def readyz(self) -> Response:
        """Answer 503 while the line is full: a balancer should ask another recogniser."""
        if self._line.length >= self._settings.queue_limit:
            return PlainTextResponse("busy", status_code=503)
        return PlainTextResponse("ready")

    async def metrics(self) -> Response:
        """Answer with Prometheus text."""
        return Response(self._metrics.page(), media_type=CONTENT_TYPE_LATEST)

    async def _asked(self, upload: Upload) -> whisper.Request:
        fields = upload.fields
        if fields.model not in (self._settings.model, _ALIAS):
            raise RefusedError(404, f"model {fields.model!r} is not here; {self._settings.model!r} is", param="model")
        language = fields.language or self._settings.language
        if not self._languages.can_read(language):
            raise RefusedError(
                422, f"language {language!r} cannot be read; set whole_vocabulary for more", param="language"
            )
        try:
            samples = await asyncio.to_thread(samples_of, upload.file)
        except AudioError as error:
            raise RefusedError(422, str(error), param="file") from error
        return whisper.Request(samples=samples, language=language, prompt=fields.prompt, temperature=fields.temperature)

    async def _while_connected(self, request: Request, asked: whisper.Request) -> Done | None:
        """Recognise unless the client hangs up first; None then."""
        job = asyncio.create_task(self._line.recognise(asked))
        gone = asyncio.create_task(_hung_up(request))
        try:
            await asyncio.wait({job, gone}, return_when=asyncio.FIRST_COMPLETED)
            return await job if job.done() else None
        except LineFullError as error:
            raise RefusedError(503, str(error), retry_after_s=error.retry_after_s) from error
        finally:
            job.cancel()
            gone.cancel()

    def _gone(self) -> Response:
        self._metrics.count("gone")
        return Response(status_code=_CLIENT_GONE)

    def _answer(self, fields: TranscriptionFields, asked: whisper.Request, done: Done) -> Response:
        heard = done.heard
        judged = heard.judged()
        self._metrics.count("ok")
        self._metrics.recognised(done)
        if judged.doubt:
            self._metrics.doubt(judged.doubt)
        headers = {"Server-Timing": _timing(done)}
        if judged.doubt:
            headers["X-Doubt"] = judged.doubt.value
        match fields.response_format:
            case "text":
                return PlainTextResponse(judged.text, headers=headers)
            case "json":
                return JSONResponse({"text": judged.text}, headers=headers)
            case "verbose_json":
                return JSONResponse(_verbose(asked, done, judged), headers=headers)


def _verbose(asked: whisper.Request, done: Done, judged: Judged) -> dict[str, object]:
    heard = done.heard
    segment = {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": heard.audio_s,
        "text": judged.text,
        "tokens": list(heard.tokens),
        "temperature": asked.temperature,
        "avg_logprob": heard.avg_logprob,
        "compression_ratio": heard.compression_ratio,
        "no_speech_prob": heard.no_speech_prob,
    }
    return {
        "task": "transcribe",
        "language": asked.language,
        "duration": heard.audio_s,
        "text": judged.text,
        "segments": [segment] if judged.text else [],
    }


def _timing(done: Done) -> str:
    stages = {"queue": done.queued_s, "encode": done.heard.encode_s, "decode": done.heard.decode_s}
    return ", ".join(f"{stage};dur={seconds * 1000:.1f}" for stage, seconds in stages.items())


def _refusal(error: RefusedError) -> Response:
    kind = "server_error" if error.status >= 500 else "invalid_request_error"
    body = {"error": {"message": str(error), "type": kind, "param": error.param, "code": None}}
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else None
    return JSONResponse(body, status_code=error.status, headers=headers)


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
