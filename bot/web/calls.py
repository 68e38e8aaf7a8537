"""`/api/calls`: have the bot call somebody. For this machine, or for whoever has the token; never for a page.

A page anywhere on the internet may have its reader's browser post to 127.0.0.1, and a proxy on this machine makes
strangers look local. What gives them away is refused: headers of browsers and proxies, the Host of somewhere else, and
HTTP/1.0, which nginx speaks by itself without such a header. It is no proof, so behind a proxy there has to be a token.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

_FOREIGN = ("origin", "forwarded", "x-forwarded-for", "via")


class Dial(BaseModel):
    """A call to place."""

    model_config = ConfigDict(extra="forbid")
    target: str = Field(min_length=1, max_length=1000)  # a SIP URI, or a number that a trunk is to call
    flow: str = Field(default="", max_length=64)  # empty: the flow that answers calls
    trunk: str = Field(default="", max_length=64)  # empty: the URI's own host, or the first trunk that is up
    caller: str = Field(default="", max_length=64)  # user part of From; empty: the trunk's, or ours
    variables: dict[str, str] = Field(default_factory=dict[str, str], max_length=32)


class Answered(Protocol):
    """A worker's answer; see `bot.edge.links.OfferAnswer`."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> dict[str, object]: ...


@dataclass(frozen=True, slots=True)
class CallsParts:
    """What the API is given; ids are `worker.call`."""

    dial: Callable[[Dial], Awaitable[Answered]]
    status: Callable[[str], Awaitable[Answered]]
    hang_up: Callable[[str], Awaitable[Answered]]
    token: str = ""  # empty: only from this machine


def calls_router(parts: CallsParts) -> APIRouter:
    """Build the routes."""

    def admit(request: Request) -> None:
        if parts.token:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), parts.token.encode()):
                raise HTTPException(401, "a token is needed", {"WWW-Authenticate": "Bearer"})
        elif not _is_local(request):
            raise HTTPException(403, "calls are placed from this machine only; set [web] api_token_env")

    router = APIRouter(prefix="/api/calls", dependencies=[Depends(admit)])

    @router.post("")
    async def dial(body: Dial) -> Response:  # pyright: ignore[reportUnusedFunction]  # FastAPI keeps it
        return _response(await parts.dial(body))

    @router.get("/{call_id}")
    async def status(call_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return _response(await parts.status(call_id))

    @router.delete("/{call_id}")
    async def hang_up(call_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        return _response(await parts.hang_up(call_id))

    return router


def _is_local(request: Request) -> bool:
    if request.client is None or request.scope["http_version"] == "1.0":
        return False
    ours = _is_loopback(request.client.host) and _is_loopback(request.url.hostname or "")  # that of the Host header
    return ours and not any(name in request.headers for name in _FOREIGN)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _response(answer: Answered) -> Response:
    return Response(status_code=204) if answer.status == 204 else JSONResponse(answer.body, answer.status)
