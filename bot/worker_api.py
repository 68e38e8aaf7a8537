"""What the edge asks a worker, over the worker's Unix socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from bot.call_records import CallFigures
from bot.errors import BotError
from bot.placed_calls import PlacedCalls, WorkerDial
from telephony.errors import CapacityError, ForbiddenTargetError, LegEndedError, SdpError, SipParseError


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
    flow_refused: str | None = None  # why the flow file as it is now is not served


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What the API is given."""

    offer: Callable[[str], Awaitable[tuple[str, str]]]  # SDP in; SDP and call id out
    renew: Callable[[WorkerRenewal], Awaitable[str]]  # SDP out for an ICE restart, else ""
    status: Callable[[], WorkerStatus]
    drain: Callable[[], None]
    hang_up: Callable[[], Awaitable[None]]  # returns when the calls have ended
    registry: CollectorRegistry
    placed: PlacedCalls | None = None  # None: no SIP
    calls: Callable[[], list[CallFigures]] = list[CallFigures]  # the last that have ended


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

    if parts.placed is not None:
        _add_placed_calls(app, parts.placed)

    _add_places(app, parts)

    @app.get("/calls")
    async def calls() -> list[CallFigures]:  # pyright: ignore[reportUnusedFunction]
        return parts.calls()

    @app.get("/metrics")
    async def metrics() -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(generate_latest(parts.registry), media_type="text/plain; version=0.0.4")

    return app


def _add_places(app: FastAPI, parts: WorkerParts) -> None:
    @app.get("/status")
    async def status() -> WorkerStatus:  # pyright: ignore[reportUnusedFunction]
        return parts.status()

    @app.post("/drain")
    async def drain() -> WorkerStatus:  # pyright: ignore[reportUnusedFunction]
        parts.drain()
        return parts.status()

    @app.post("/hang_up")
    async def hang_up() -> WorkerStatus:  # pyright: ignore[reportUnusedFunction]
        await parts.hang_up()
        return parts.status()


def _add_placed_calls(app: FastAPI, placed: PlacedCalls) -> None:
    @app.post("/calls")
    async def dial(body: WorkerDial) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            call_id = await placed.dial(body)
        except ForbiddenTargetError as error:
            return JSONResponse({"detail": str(error)}, 403)
        except (BotError, SipParseError) as error:
            return JSONResponse({"detail": str(error)}, 422)
        except CapacityError as error:
            return JSONResponse({"detail": str(error)}, 503, {"Retry-After": str(error.retry_after_s)})
        except OSError as error:
            return JSONResponse({"detail": f"the target cannot be found: {error}"}, 502)
        return JSONResponse({"call_id": call_id}, 201)

    @app.get("/calls/{call_id}")
    async def status(call_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        found = placed.status(call_id)
        if found is None:
            return JSONResponse({"detail": "no such call"}, 404)
        return JSONResponse(found.model_dump())

    @app.delete("/calls/{call_id}")
    async def hang_up(call_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(status_code=204 if await placed.hang_up(call_id) else 404)


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
