"""What the server is and how it does: models, voices, probes, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse

from tts_engine.engine.engine import SpeechEngine
from tts_engine.metrics import SpeechMetrics


def health_routes(engine: SpeechEngine, metrics: SpeechMetrics) -> APIRouter:
    """Make the routes."""
    router = APIRouter()

    @router.get("/v1/models")
    async def models() -> JSONResponse:
        model = {"id": engine.description.model, "object": "model", "created": 0, "owned_by": "zeng"}
        return JSONResponse({"object": "list", "data": [model]})

    @router.get("/v1/audio/voices")
    async def voices() -> JSONResponse:
        described = engine.description
        return JSONResponse(
            {
                "voices": list(described.voices),
                "languages": list(described.languages),
                "hears_conversation": described.codec is not None,
            }
        )

    @router.get("/livez")
    async def livez() -> JSONResponse:
        return JSONResponse({"live": True})

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        health = engine.health
        body = {"ready": health.ready, "detail": health.detail, "backend": engine.description.name}
        return JSONResponse(body, 200 if health.ready else 503)

    @router.get("/metrics")
    async def prometheus() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
