"""uvicorn's HTTP connection, with a limit to how long a request may take to come, and to how many there may be."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import h11
import structlog
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_LOG_EVERY_S = 10.0
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Turned:
    """What was turned away since it was last told; of all connections of a server."""

    away: int = 0
    told_at: float = float("-inf")


class PunctualHttp(H11Protocol):
    """Closes a connection whose request, head and body, has not come whole in time.

    uvicorn has a clock for connections that are idle after an answer, and none for the rest: one that sends nothing,
    half a head or half a body would stay for as long as its peer lives. The time runs from the connection, or from the
    first byte of a later request; what dribbles in wins none. Answers may take as long as they like, and a WebSocket is
    a protocol of its own.

    Beyond `most_connections`, WebSockets counted, a new one is answered 503 at once and closed: else who opens many
    would leave the process without a file descriptor for what serves the others.

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
        most_connections: int,
        turned: _Turned,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._request_timeout_s = request_timeout_s
        self._most_connections = most_connections
        self._turned = turned
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Await the first request, or turn it away."""
        super().connection_made(transport)
        if len(self.connections) > self._most_connections:
            self._turn_away()
        else:
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

    def _turn_away(self) -> None:
        self.transport.write(_FULL)
        self.transport.close()
        turned, now = self._turned, self.loop.time()
        turned.away += 1
        if now >= turned.told_at + _LOG_EVERY_S:
            log.warning("connections_turned_away", count=turned.away, open=self._most_connections)
            turned.away, turned.told_at = 0, now

    def _await_request(self) -> None:
        self._late = self.loop.call_later(self._request_timeout_s, self.transport.close)

    def _rest(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def punctual_http(*, request_timeout_s: float, most_connections: int) -> type[asyncio.Protocol]:
    """Make what `uvicorn.Config` takes as `http`; for one server."""
    made = partial(
        PunctualHttp, request_timeout_s=request_timeout_s, most_connections=most_connections, turned=_Turned()
    )
    return cast("type[asyncio.Protocol]", made)
