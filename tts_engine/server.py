"""The speech server's HTTP application: routes over one engine."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from tts_engine.engine.engine import SpeechEngine
from tts_engine.error_codes import body_of
from tts_engine.errors import SpeechError, SpeechRequestError
from tts_engine.http_body import error_response
from tts_engine.metrics import SpeechMetrics
from tts_engine.routes_conversations import conversation_routes
from tts_engine.routes_health import health_routes
from tts_engine.routes_speech import speech_routes
from tts_engine.routes_stream import StreamLimits, stream_routes


def create_server(engine: SpeechEngine, metrics: SpeechMetrics, limits: StreamLimits) -> FastAPI:
    """Make the application, over an engine that has started."""
    # Bodies are read by our own models, so a generated API page would say nothing: docs/wire-protocol.md does.
    server = FastAPI(title="Zəng speech", openapi_url=None)
    server.include_router(speech_routes(engine, metrics, limits))
    server.include_router(stream_routes(engine, metrics, limits))
    server.include_router(conversation_routes(engine.conversations, body_timeout_s=limits.body_timeout_s))
    server.include_router(health_routes(engine, metrics))
    server.add_exception_handler(SpeechError, _on_speech_error)
    server.add_exception_handler(RequestValidationError, _on_wrong_path)
    server.add_exception_handler(HTTPException, _on_http_error)
    server.add_exception_handler(ClientDisconnect, _on_gone)
    return server


async def _on_speech_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SpeechError)
    return error_response(error)


async def _on_wrong_path(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    fault = error.errors()[0]
    field = str(fault["loc"][-1])
    return error_response(SpeechRequestError(f"{field}: {fault['msg']}", field=field))


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    told = SpeechRequestError(f"{request.method} {request.url.path}: {error.detail}")
    return JSONResponse(body_of(told).model_dump(), error.status_code, error.headers)


async def _on_gone(_: Request, __: Exception) -> Response:
    """Answer nobody: who left in the middle of a request is no fault of the server's, and none to log."""
    return Response(status_code=400)
