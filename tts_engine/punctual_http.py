"""uvicorn's HTTP connection, with a limit to how long a request may take to come."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState


class PunctualHttp(H11Protocol):
    """Closes a connection whose request, head and body, has not come whole in time.

    uvicorn has a clock for connections that are idle after an answer, and none for the rest: one that sends nothing,
    half a head or half a body would stay for as long as its peer lives. The time runs from the connection, or from the
    first byte of a later request; what dribbles in wins none. Answers may take as long as they like, and a WebSocket is
    a protocol of its own.

    h11 stands in the way of httptools where that is installed, too: the state of a request is to be seen in it.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        request_timeout_s: float,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._request_timeout_s = request_timeout_s
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Await the first request."""
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Take some of a request, or all of it, or more."""
        if self._late is None:
            self._await_request()
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY) or self.transport.get_protocol() is not self:
            self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Await nothing any more."""
        self._rest()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        self._late = self.loop.call_later(self._request_timeout_s, self.transport.close)

    def _rest(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def punctual_http(*, request_timeout_s: float) -> type[asyncio.Protocol]:
    """Make what `uvicorn.Config` takes as `http`."""
    return cast("type[asyncio.Protocol]", partial(PunctualHttp, request_timeout_s=request_timeout_s))
