"""The public HTTP API and the page. No call runs here: offers go to workers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field

from bot.web.bounded_body import BoundedBody
from bot.web.calls import CallsParts, calls_router

_STATIC = Path(__file__).parent / "static"
_MAX_SDP_BYTES = 64_000
_MAX_BODY_BYTES = 524_288  # an SDP of that length, with every character escaped


class Offer(BaseModel):
    """A browser's WebRTC offer."""

    model_config = ConfigDict(extra="forbid")
    sdp: str = Field(min_length=1, max_length=_MAX_SDP_BYTES)
    type: Literal["offer"]


class Renewal(BaseModel):
    """What a page tells of its call: candidates that it has found since, or an ICE restart with a new offer."""

    model_config = ConfigDict(extra="forbid")
    call_id: str = Field(pattern="^[0-9a-f]{32}$")
    candidates: list[str] = Field(default_factory=list[str], max_length=32)  # values of a=candidate
    sdp: str | None = Field(default=None, min_length=1, max_length=_MAX_SDP_BYTES)


class Info(BaseModel):
    """What answers, for the page's footer."""

    flow: str
    recogniser: str
    understanding: str
    voice: str
    sip_uri: str


class Answered(Protocol):
    """A worker's answer; see `bot.edge.links.OfferAnswer`."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> dict[str, object]: ...
    @property
    def retry_after_s(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class WebParts:
    """What the HTTP API is given."""

    info: Info
    offer: Callable[[str], Awaitable[Answered]]
    renew: Callable[[dict[str, Any]], Awaitable[Answered]]
    ice: Callable[[], dict[str, Any]]  # configuration of the page's RTCPeerConnection
    ready: Callable[[], str | None]  # None: ready; else what is missing
    metrics: Callable[[], Awaitable[bytes]]
    flow_refused: Callable[[], str | None] = lambda: None  # why the flow file as it is now is not served
    calls: CallsParts | None = None  # None: no SIP
    records: Callable[[], Awaitable[list[dict[str, Any]]]] | None = None  # of the last calls; None: not told


def web_app(parts: WebParts) -> FastAPI:
    """Build the application."""
    app = FastAPI(title="Zəng", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    app.add_middleware(
        BoundedBody, limit_bytes=_MAX_BODY_BYTES
    )  # the first is the innermost: its refusals are FastAPI's

    _add_offers(app, parts)
    if parts.calls is not None:
        app.include_router(calls_router(parts.calls))

    @app.get("/api/info")
    async def info() -> Info:  # pyright: ignore[reportUnusedFunction]
        return parts.info

    @app.get("/api/calls")
    async def records() -> Response:  # pyright: ignore[reportUnusedFunction]
        if parts.records is None:
            return JSONResponse({"detail": "switched off: [web] call_records"}, status_code=404)
        return JSONResponse({"calls": await parts.records()})

    @app.get("/livez")
    async def livez() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> Response:  # pyright: ignore[reportUnusedFunction]
        missing = parts.ready()
        if missing is None:
            refused = parts.flow_refused()
            return JSONResponse({"status": "ready"} | ({"flow_refused": refused} if refused else {}))
        return JSONResponse({"status": "not ready", "detail": missing}, status_code=503)

    @app.get("/metrics")
    async def metrics() -> Response:  # pyright: ignore[reportUnusedFunction]
        return Response(await parts.metrics(), media_type="text/plain; version=0.0.4")

    @app.middleware("http")
    async def revalidate(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:  # pyright: ignore[reportUnusedFunction]
        response = await call_next(request)
        response.headers["Cache-Control"] = "no-cache"
        return response

    app.mount("/", StaticFiles(directory=_STATIC, html=True), name="page")
    return app


def _add_offers(app: FastAPI, parts: WebParts) -> None:
    @app.post("/api/offer")
    async def offer(body: Offer) -> Response:  # pyright: ignore[reportUnusedFunction]  # FastAPI keeps it
        answer = await parts.offer(body.sdp)
        headers = {"Retry-After": str(answer.retry_after_s)} if answer.retry_after_s is not None else {}
        return JSONResponse(answer.body, status_code=answer.status, headers=headers)

    @app.patch("/api/offer")
    async def renew(body: Renewal) -> Response:  # pyright: ignore[reportUnusedFunction]
        answer = await parts.renew(body.model_dump())
        return JSONResponse(answer.body, status_code=answer.status)

    @app.get("/api/ice")
    async def ice() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        return parts.ice()
