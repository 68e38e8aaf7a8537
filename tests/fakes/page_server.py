"""The page and its API over HTTP with a WebRTC endpoint behind, and no bot: the test is the bot."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from telephony.errors import CapacityError, LegEndedError, SdpError
from telephony.leg import CallLeg
from telephony.settings import WebRtcSettings
from telephony.webrtc.endpoint import WebRtcEndpoint
from telephony.webrtc.leg import WebRtcLeg
from telephony.webrtc.turn import ice_servers
from tests.fakes.webrtc import SETTINGS

PAGE = Path(__file__).parents[2] / "bot" / "web" / "static"
INFO = {
    "flow": "clinic",
    "recogniser": "faster-whisper",
    "understanding": "qaydalar",
    "voice": "CSM-1B",
    "sip_uri": "sip:bot@127.0.0.1:5060",
}


class PageServer:
    """What the page talks to; answers each call at once unless `status` says otherwise."""

    def __init__(self, settings: WebRtcSettings = SETTINGS) -> None:
        self.url = ""
        self.renewals: list[dict[str, Any]] = []
        self._settings = settings
        self.status = 200  # what an offer is answered with
        self.lost_restarts = 0  # so many get no answer that helps
        self.restart_answers_after_s = 0.0
        self.endpoint = WebRtcEndpoint(settings, self._on_call, max_legs=4)
        self._legs: asyncio.Queue[WebRtcLeg] = asyncio.Queue()
        self._answering: set[asyncio.Task[None]] = set()
        self.app = Starlette(
            routes=[
                Route("/api/offer", self._offer, methods=["POST"]),
                Route("/api/offer", self._renew, methods=["PATCH"]),
                Route("/api/ice", self._ice),
                Route("/api/info", self._info),
                Mount("/", StaticFiles(directory=PAGE, html=True)),
            ]
        )

    async def call(self) -> WebRtcLeg:
        """The next call that is connected."""
        return await asyncio.wait_for(self._legs.get(), 20)

    def _on_call(self, leg: CallLeg) -> None:
        assert isinstance(leg, WebRtcLeg)
        task = asyncio.create_task(self._answer(leg))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, leg: WebRtcLeg) -> None:
        await leg.answer()
        self._legs.put_nowait(leg)

    async def _offer(self, request: Request) -> JSONResponse:
        body: dict[str, Any] = await request.json()
        assert body["type"] == "offer"
        if self.status != 200:
            return JSONResponse({"detail": "as the test wants it"}, self.status)
        try:
            answer = await self.endpoint.offer(body["sdp"])
        except SdpError as error:
            return JSONResponse({"detail": str(error)}, error.status)
        except LegEndedError as error:
            return JSONResponse({"detail": str(error)}, 403)
        except CapacityError as error:
            return JSONResponse({"detail": str(error)}, 503, {"Retry-After": str(error.retry_after_s)})
        return JSONResponse({"sdp": answer.sdp, "type": "answer", "call_id": answer.call_id})

    async def _renew(self, request: Request) -> JSONResponse:
        body: dict[str, Any] = await request.json()
        self.renewals.append(body)
        call_id = body["call_id"]
        if "sdp" in body and self.lost_restarts:
            self.lost_restarts -= 1
            return JSONResponse({"detail": "as the test wants it"}, 503)
        sdp = await self.endpoint.renew(call_id, body.get("candidates", []), restart=body.get("sdp", ""))
        if sdp:
            await asyncio.sleep(self.restart_answers_after_s)
        return JSONResponse({"sdp": sdp, "type": "answer", "call_id": call_id} if sdp else {})

    async def _ice(self, request: Request) -> JSONResponse:
        servers = ice_servers(self._settings, name="page", now_unix_s=time.time())
        policy = {"iceTransportPolicy": "relay"} if self._settings.relay_only else {}
        return JSONResponse({"iceServers": [server.as_json() for server in servers], **policy})

    async def _info(self, request: Request) -> JSONResponse:
        return JSONResponse(INFO)


def say(leg: CallLeg, kind: str, **fields: object) -> None:
    """Tell the page one message of docs/page-protocol.md."""
    leg.tell(json.dumps({"type": kind, **fields}))


@asynccontextmanager
async def page_server(settings: WebRtcSettings = SETTINGS) -> AsyncGenerator[PageServer]:
    """Serve on a free port of 127.0.0.1."""
    made = PageServer(settings)
    listener = socket.create_server(("127.0.0.1", 0))
    made.url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server = uvicorn.Server(uvicorn.Config(made.app, log_level="warning", lifespan="off", ws="none"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield made
    finally:
        await made.endpoint.close()
        server.should_exit = True
        await serving
        listener.close()
