"""SIP over TCP, bare or under TLS (RFC 3261 sections 18, 26.2): connections that come in and those that we open."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from telephony.errors import SipParseError
from telephony.sip.carrier import Receiver
from telephony.sip.flow import Flow, Transport
from telephony.sip.responses import refuse_malformed
from telephony.sip.stream import Broken, Framed, Ping, StreamFramer

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """What strangers may take."""

    connections: int = 1024
    connections_of_a_host: int = 512  # nobody alone takes all
    first_message_s: float = 30.0  # a connection that says nothing for so long is closed
    message_s: float = 30.0  # a message that has begun must end in so long
    connect_s: float = 10.0  # the TLS handshake included
    write_buffer_bytes: int = 1_048_576  # a peer that does not read is cut off
    pending_messages: int = 64  # kept for a connection that is being opened


class _Connection(asyncio.Protocol):
    def __init__(self, owner: TcpConnections, number: int, dialled: Flow | None = None) -> None:
        self._owner = owner
        self._number = number
        self._dialled = dialled
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.flow = dialled or Flow(owner.transport, "", 0, number)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's by class.
        self._transport = stream = cast("asyncio.Transport", transport)
        # A peer that has gone already has no name any more; connection_lost follows.
        host, port = (stream.get_extra_info("peername") or ("", 0))[:2]
        name = "" if self._dialled is None else self._dialled.server_name
        self.flow = Flow(self._owner.transport, host, port, self._number, name)
        if self._dialled is None and not self._owner.accept(self._number, self):
            stream.abort()
        elif self._dialled is None:
            self._limit(self._owner.limits.first_message_s)

    def data_received(self, data: bytes) -> None:
        self._framer.feed(data)
        begins = self._deadline is None
        while (output := self._framer.poll()) is not None:
            begins = True
            match output:
                case Framed(message):
                    self._owner.receive(message, self.flow)
                case Ping():
                    self.write(b"\r\n")
                case Broken(head, reason):
                    answer = refuse_malformed(head, SipParseError(reason))
                    if answer is not None:
                        self.write(answer)
                    self.close()
        if self._framer.at_empty_line:
            self._owner.receive(b"\r\n", self.flow)
        if not self._framer.mid_message:
            self._limit(None)
        elif begins:  # a message that comes byte by byte gets no more time for each of them
            self._limit(self._owner.limits.message_s)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._limit(None)
        self._owner.lost(self._number, self.flow, self._dialled)

    def write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._owner.limits.write_buffer_bytes:
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _limit(self, seconds: float | None) -> None:
        """Close the connection if nothing more comes in time."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = asyncio.get_running_loop().call_later(seconds, self.close)


@dataclass(slots=True)
class _Dialling:
    task: asyncio.Task[None]
    waiting: list[bytes] = field(default_factory=list[bytes])


class TcpConnections:
    """Every connection of one listening address. With `client_tls`, those that we open are under TLS."""

    def __init__(
        self,
        receiver: Callable[[], Receiver | None],
        *,
        limits: TcpLimits,
        listens_to: Callable[[str], bool],
        client_tls: ssl.SSLContext | None = None,
    ) -> None:
        self.limits = limits
        self._listens_to = listens_to
        self.transport: Transport = "tcp" if client_tls is None else "tls"
        self._client_tls = client_tls
        self._receiver = receiver
        self._server: asyncio.Server | None = None
        self._numbers = 0
        self._open: dict[int, _Connection] = {}
        self._dialled: dict[Flow, int] = {}
        self._dialling: dict[Flow, _Dialling] = {}

    async def listen(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> int:
        """Take connections on this address and return the port; raises `OSError` when it is in use."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self, self._next_number()),
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else self.limits.connect_s,
        )
        return int(self._server.sockets[0].getsockname()[1])

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def accept(self, number: int, connection: _Connection) -> bool:
        """Take a new connection, unless there are too many, of all hosts or of this one, or it is a stranger's."""
        host = connection.flow.host
        if len(self._open) >= self.limits.connections or not self._listens_to(host):
            return False
        if sum(other.flow.host == host for other in self._open.values()) >= self.limits.connections_of_a_host:
            return False
        self._open[number] = connection
        return True

    def receive(self, data: bytes, flow: Flow) -> None:
        """Hand a message on."""
        receiver = self._receiver()
        if receiver is not None:
            receiver.receive(data, flow)

    def lost(self, number: int, flow: Flow, dialled: Flow | None) -> None:
        """Forget a connection and tell whoever uses it; one that we opened has two names."""
        self._open.pop(number, None)
        self._report(flow)
        if dialled is not None:
            self._dialled.pop(dialled, None)
            self._report(dialled)

    def _report(self, flow: Flow) -> None:
        receiver = self._receiver()
        if receiver is not None:
            receiver.flow_lost(flow)

    def transmit(self, data: bytes, flow: Flow) -> None:
        """Write to a connection; with number 0, to the one that we opened to this address, or open it."""
        number = flow.connection or self._dialled.get(flow, 0)
        connection = self._open.get(number)
        if connection is not None:
            connection.write(data)
        elif flow.connection:
            # Not from within this call: the user agent is still at its output.
            asyncio.get_running_loop().call_soon(self._report, flow)
        else:
            self._dial(data, flow)

    def _dial(self, data: bytes, flow: Flow) -> None:
        dialling = self._dialling.get(flow)
        if dialling is None:
            task = asyncio.get_running_loop().create_task(self._open_connection(flow))
            dialling = self._dialling[flow] = _Dialling(task)
        if len(dialling.waiting) < self.limits.pending_messages:
            dialling.waiting.append(data)

    async def _open_connection(self, dialled: Flow) -> None:
        number = self._next_number()
        connection = _Connection(self, number, dialled)
        # RFC 5922 section 7.3: the certificate is to name whom we meant to reach, which SNI tells the peer too.
        name = None if self._client_tls is None else dialled.server_name or dialled.host
        try:
            async with asyncio.timeout(self.limits.connect_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection, dialled.host, dialled.port, ssl=self._client_tls, server_hostname=name
                )
        except (OSError, TimeoutError) as error:
            if isinstance(error, ssl.SSLError):
                _logger.warning("TLS to %s port %d failed: %s", name, dialled.port, error)
            del self._dialling[dialled]
            self._report(dialled)
            return
        self._open[number] = connection
        self._dialled[dialled] = number
        for data in self._dialling.pop(dialled).waiting:
            connection.write(data)

    async def close(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for dialling in list(self._dialling.values()):
            dialling.task.cancel()
        await asyncio.gather(*(dialling.task for dialling in self._dialling.values()), return_exceptions=True)
        for connection in list(self._open.values()):
            connection.close()
        if self._server is not None:
            await self._server.wait_closed()
