"""What the edge asks a worker, over the worker's Unix socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from telephony.errors import CapacityError, LegEndedError, SdpError


class WorkerOffer(BaseModel):
    """A WebRTC offer that the edge passes on."""

    model_config = ConfigDict(extra="forbid")
    sdp: str = Field(max_length=64_000)


class WorkerRenewal(BaseModel):
    """What a page tells of a call that goes on: candidates found since, or an ICE restart."""

    model_config = ConfigDict(extra="forbid")
    call_id: str = Field(pattern="^[0-9a-f]{32}$")
    candidates: list[str] = Field(default_factory=list[str], max_length=32)
    sdp: str | None = Field(default=None, max_length=64_000)


class WorkerStatus(BaseModel):
    """Places of a worker; a draining one has none."""

    capacity: int
    active: int


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What the API is given."""

    offer: Callable[[str], Awaitable[tuple[str, str]]]  # SDP in; SDP and call id out
    renew: Callable[[WorkerRenewal], Awaitable[str]]  # SDP out for an ICE restart, else ""
    status: Callable[[], WorkerStatus]
    drain: Callable[[], None]
    registry: CollectorRegistry


def worker_api(parts: WorkerParts) -> FastAPI:
    """Build the application."""
    app = FastAPI(openapi_url=None)

    @app.post("/offer")
    async def offer(body: WorkerOffer) -> Response:  # pyright: ignore[reportUnusedFunction]  # FastAPI keeps it
        async def answered() -> dict[str, str]:
            sdp, call_id = await parts.offer(body.sdp)
            return {"sdp": sdp, "type": "answer", "call_id": call_id}

        return await _told(answered(), no_call=403)

    @app.patch("/offer")
    async def renew(body: WorkerRenewal) -> Response:  # pyright: ignore[reportUnusedFunction]
        async def renewed() -> dict[str, str]:
            sdp = await parts.renew(body)
            return {} if not sdp else {"sdp": sdp, "type": "answer", "call_id": body.call_id}

        return await _told(renewed(), no_call=404)

    @app.get("/status")
    async def status() -> WorkerStatus:  # pyright: ignore[reportUnusedFunction]
        return parts.status()

    @app.post("/drain")
    async def drain() -> WorkerStatus:  # pyright: ignore[reportUnusedFunction]
        parts.drain()
        return parts.status()

    @app.get("/metrics")
    async def metrics() -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(generate_latest(parts.registry), media_type="text/plain; version=0.0.4")

    return app


async def _told(work: Awaitable[dict[str, str]], *, no_call: int) -> Response:
    """Answer with what comes of it; `no_call` is the status where there is none, or none is wanted."""
    try:
        return JSONResponse(await work)
    except CapacityError as error:
        return JSONResponse({"detail": str(error)}, 503, {"Retry-After": str(error.retry_after_s)})
    except LegEndedError as error:
        return JSONResponse({"detail": str(error)}, no_call)
    except SdpError as error:
        return JSONResponse({"detail": str(error)}, error.status)
