"""`StreamEndpoint`: where a PBX or provider connects; each connection is one call."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import Callable
from typing import TypeAlias, cast

import websockets
from websockets.asyncio.server import Server, ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from telephony.leg import CallInfo, CallLeg
from telephony.settings import StreamSettings
from telephony.source_list import SourceList
from telephony.stream.asterisk_websocket import AsteriskDialect
from telephony.stream.audiosocket import AudioSocketDialect
from telephony.stream.dialect import Broken, Dialect, Started, StreamEvent, Wire
from telephony.stream.leg import StreamLeg
from telephony.stream.twilio import TwilioDialect

OnCall: TypeAlias = Callable[[CallLeg], None]
DIALECTS: dict[str, Callable[[], Dialect]] = {"asterisk": AsteriskDialect, "twilio": TwilioDialect}
"""By the first part of a WebSocket's path; the second is the token."""

_START_S = 5.0  # a connection that has not begun a call by then is closed
_CLOSE_S = 1.0  # for the far side's goodbye
_GONE_S = 3.0  # for what was said before, our own goodbye, and the far side's
_MAX_MESSAGE_BYTES = 65_536
_MAX_WAITING = 512  # messages to a peer that does not read: ten seconds of sound
_MAX_BUFFER_BYTES = 262_144

_logger = logging.getLogger(__name__)


class _Call:
    """One connection's call, once it has begun; whoever owns the connection feeds it."""

    def __init__(
        self, dialect: Dialect, owner: StreamEndpoint, send: Callable[[Wire], None], close: Callable[[], None]
    ) -> None:
        self._dialect = dialect
        self._owner = owner
        self._send = send
        self._close = close
        self._leg: StreamLeg | None = None
        self._refused = False
        self._deadline = asyncio.get_running_loop().call_later(_START_S, close)

    def receive(self, data: Wire) -> None:
        for event in self._dialect.receive(data):
            if not self._refused:
                self._take(event)

    def _take(self, event: StreamEvent) -> None:
        if self._leg is not None:
            self._leg.take(event)
        elif isinstance(event, Started):
            self._deadline.cancel()
            self._leg = self._owner.begin(event, self._dialect, self._send, self._close)
        elif isinstance(event, Broken):
            self._refused = True
            _logger.warning("a stream of %s was refused: %s", self._dialect.name, event.reason)
            self._close()

    def fail(self, reason: str) -> None:
        if self._leg is not None:
            self._leg.take(Broken(reason))

    def lost(self) -> None:
        self._deadline.cancel()
        if self._leg is not None:
            self._leg.lost()


class _AudioSocket(asyncio.Protocol):
    def __init__(self, owner: StreamEndpoint) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._call: _Call | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = stream = cast("asyncio.Transport", transport)
        host = (stream.get_extra_info("peername") or ("",))[0]
        if not self._owner.sources.allows(host):
            stream.abort()
            return
        self._call = _Call(AudioSocketDialect(), self._owner, self._send, self._close)

    def data_received(self, data: bytes) -> None:
        if self._call is not None:
            self._call.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._call is not None:
            self._call.lost()

    def _send(self, data: Wire) -> None:
        assert self._transport is not None
        assert isinstance(data, bytes)
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _MAX_BUFFER_BYTES:
            self._transport.abort()

    def _close(self) -> None:
        assert self._transport is not None
        self._transport.close()
        _abort_later(self._transport)


def _abort_later(transport: asyncio.Transport) -> None:
    """Have a connection that was closed gone in time: a peer that does not read would keep it open for ever."""
    asyncio.get_running_loop().call_later(_GONE_S, transport.abort)


class _WebSocket(ServerConnection):
    """A connection whose peer may not have us pile up what it does not read: pongs are written without waiting."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_write_buffer_size() > _MAX_BUFFER_BYTES:
            self.transport.abort()


class StreamEndpoint:
    """Listens where `[stream]` says, and gives each call to `on_call`, not yet answered."""

    def __init__(self, settings: StreamSettings, *, on_call: OnCall) -> None:
        self._settings = settings
        self._on_call = on_call
        self.sources = SourceList(settings.allowed_sources)
        self._audiosocket: asyncio.Server | None = None
        self._websocket: Server | None = None

    async def open(self) -> None:
        """Bind; several processes may share a port, and the kernel shares the calls out. Raises `OSError`."""
        settings, loop = self._settings, asyncio.get_running_loop()
        if settings.audiosocket_port:
            self._audiosocket = await loop.create_server(
                lambda: _AudioSocket(self), settings.host, settings.audiosocket_port, reuse_port=True
            )
        if settings.websocket_port:
            self._websocket = await websockets.serve(
                self._serve,
                settings.host,
                settings.websocket_port,
                create_connection=_WebSocket,
                process_request=self._check,
                max_size=_MAX_MESSAGE_BYTES,
                compression=None,
                open_timeout=_START_S,
                close_timeout=_CLOSE_S,
                subprotocols=[websockets.Subprotocol("media")],
                select_subprotocol=lambda _, offered: offered[0] if offered else None,
                reuse_port=True,
            )

    def begin(
        self, started: Started, dialect: Dialect, send: Callable[[Wire], None], close: Callable[[], None]
    ) -> StreamLeg:
        """Make a leg and offer it."""
        variables = {**started.variables, "peer_call_id": started.peer_call_id}
        info = CallInfo(secrets.token_hex(16), dialect.name, started.caller, started.callee, variables)
        leg = StreamLeg(
            info,
            dialect,
            send=send,
            close=close,
            lead_ms=self._settings.lead_ms,
            silence_timeout_s=self._settings.silence_timeout_s,
        )
        try:
            self._on_call(leg)
        except Exception:
            _logger.exception("call %s found no handler", info.call_id)
            close()
        return leg

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse who may not connect: nothing tells whether the address, the path or the token was wrong."""
        host = (connection.remote_address or ("",))[0]
        kind, _, token = request.path.partition("?")[0].strip("/").partition("/")
        wanted = self._settings.websocket_token.get_secret_value().encode()
        right = hmac.compare_digest(token.encode(), wanted)
        if right and kind in DIALECTS and self.sources.allows(host):
            return None
        return Response(404, "Not Found", Headers({"Content-Length": "0", "Connection": "close"}))

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        dialect = DIALECTS[connection.request.path.strip("/").partition("/")[0]]()
        waiting: asyncio.Queue[Wire | None] = asyncio.Queue(_MAX_WAITING)

        def send(message: Wire) -> None:
            if waiting.full():
                call.fail("the peer does not read")
            else:
                waiting.put_nowait(message)

        def close() -> None:
            if not waiting.full():
                waiting.put_nowait(None)
            _abort_later(connection.transport)

        async def write() -> None:
            while (message := await waiting.get()) is not None:
                await connection.send(message)
            await connection.close()

        call = _Call(dialect, self, send, close)
        writing = asyncio.create_task(write())
        try:
            async for message in connection:
                call.receive(message)
        except websockets.ConnectionClosed:
            pass
        finally:
            call.lost()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def close(self) -> None:
        """Stop listening; calls under way end with their connections."""
        if self._audiosocket is not None:
            self._audiosocket.close()
        if self._websocket is not None:
            self._websocket.close()
            await self._websocket.wait_closed()
