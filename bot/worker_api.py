"""What the edge asks a worker, over the worker's Unix socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from bot.call_records import CallFigures
from telephony.errors import CapacityError, LegEndedError, SdpError


class WorkerOffer(BaseModel):
    """A WebRTC offer that the edge passes on."""

    model_config = ConfigDict(extra="forbid")
    sdp: str = Field(max_length=64_000)


class WorkerStatus(BaseModel):
    """Places of a worker; a draining one has none."""

    capacity: int
    active: int


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What the API is given."""

    offer: Callable[[str], Awaitable[tuple[str, str]]]  # SDP in; SDP and call id out
    status: Callable[[], WorkerStatus]
    drain: Callable[[], None]
    registry: CollectorRegistry
    calls: Callable[[], list[CallFigures]] = list[CallFigures]  # the last that have ended


def worker_api(parts: WorkerParts) -> FastAPI:
    """Build the application."""
    app = FastAPI(openapi_url=None)

    @app.post("/offer")
    async def offer(body: WorkerOffer) -> Response:  # pyright: ignore[reportUnusedFunction]  # FastAPI keeps it
        try:
            sdp, call_id = await parts.offer(body.sdp)
        except CapacityError as error:
            return JSONResponse({"detail": str(error)}, 503, {"Retry-After": str(error.retry_after_s)})
        except LegEndedError as error:
            return JSONResponse({"detail": str(error)}, 403)
        except SdpError as error:
            return JSONResponse({"detail": str(error)}, error.status)
        return JSONResponse({"sdp": sdp, "type": "answer", "call_id": call_id})

    @app.get("/status")
    async def status() -> WorkerStatus:  # pyright: ignore[reportUnusedFunction]
        return parts.status()

    @app.post("/drain")
    async def drain() -> WorkerStatus:  # pyright: ignore[reportUnusedFunction]
        parts.drain()
        return parts.status()

    @app.get("/calls")
    async def calls() -> list[CallFigures]:  # pyright: ignore[reportUnusedFunction]
        return parts.calls()

    @app.get("/metrics")
    async def metrics() -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(generate_latest(parts.registry), media_type="text/plain; version=0.0.4")

    return app
