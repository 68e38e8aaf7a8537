"""The recogniser process: model file, model, line, routes, uvicorn."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import structlog
import uvicorn
from fastapi import FastAPI

from bot.errors import ServiceStartError
from bot.models.cache import ModelCache
from bot.models.registry import find
from bot.models.settings import ModelSettings
from bot.recognition.jobs import RecognitionLine
from bot.recognition.metrics import RecogniserMetrics
from bot.recognition.server import TranscriptionServer
from bot.recognition.settings import RecogniserServerSettings
from bot.recognition.wav import RATE_HZ
from bot.recognition.whisper import Request, Whisper
from tts_engine.descriptors import room_for_connections
from tts_engine.log import set_up_logging
from tts_engine.punctual_http import punctual_http

_log = structlog.get_logger(__name__)
_KEEP_ALIVE_S = 75  # longer than the bot's pool keeps an idle connection


def serve(settings: RecogniserServerSettings, models: ModelSettings) -> None:
    """Load the model, then listen until SIGTERM; recognitions under way are finished.

    Raises `ModelFileError` where the model is missing and `ServiceStartError` where the port is taken.
    """
    folder = ModelCache(models.folder).require(find(settings.model))
    listener = _listen(settings)
    set_up_logging(level="INFO", process="recogniser")
    app = make_app(folder, settings)
    host, port = listener.getsockname()[:2]
    _log.info("recogniser listens", url=f"http://{host}:{port}/v1", model=settings.model)
    config = uvicorn.Config(
        app,
        http=punctual_http(request_timeout_s=settings.request_timeout_s, most_connections=room_for_connections()),
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_timeout_s,
        ws="none",
        access_log=False,
        log_config=None,
    )
    uvicorn.Server(config).run(sockets=[listener])


def make_app(folder: Path, settings: RecogniserServerSettings) -> FastAPI:
    """Load the model and put the routes over it. The slow first recognition is done here, before any caller's."""
    model = Whisper(folder, settings)
    model.transcribe(Request(samples=np.zeros(RATE_HZ, np.float32), language=settings.language))
    line = RecognitionLine(model, workers=settings.workers, limit=settings.queue_limit)
    metrics = RecogniserMetrics(line_length=lambda: line.length)
    return TranscriptionServer(model, line, metrics, settings).app()


def _listen(settings: RecogniserServerSettings) -> socket.socket:
    """Take the port first: loading a model to find it taken wastes seconds."""
    try:
        return socket.create_server((settings.host, settings.port), reuse_port=False)
    except OSError as error:
        raise ServiceStartError(
            f"the recogniser cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
            "set [recogniser_server] port to a free one"
        ) from error
