"""`SipSockets`: one public SIP address, UDP, TCP and TLS; a `Carrier` for whoever sits behind it."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import cast

from telephony.settings import SipSettings
from telephony.sip.carrier import Receiver
from telephony.sip.flow import Flow
from telephony.sip.rate_limit import RateLimit
from telephony.sip.source_gate import GateLimits, Kept, SourceGate
from telephony.sip.tcp import TcpConnections, TcpLimits
from telephony.sip.tls import TlsContexts

RECEIVE_BUFFER_BYTES = 1_048_576
"""Asked of the kernel, which may give less: room for a burst of a thousand INVITEs."""

MAX_SEND_BUFFER_BYTES = 1_048_576

_PORT_TRIES = 16
_LOG_EVERY_S = 10.0

_logger = logging.getLogger(__name__)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, owner: SipSockets) -> None:
        self._owner = owner

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._owner.deliver(data, Flow("udp", addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002  # asyncio's signature
        self._owner.dropped += 1  # no route, a firewall of this machine, longer than a datagram can be


def gate_limits(settings: SipSettings) -> GateLimits:
    """Turn the `[sip]` section into what strangers may take."""
    return GateLimits(settings.allowed_sources, settings.messages_per_s, settings.message_burst)


class _Gated:
    """A receiver behind the gate."""

    def __init__(self, receiver: Receiver, gate: SourceGate) -> None:
        self._receiver = receiver
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._log = RateLimit(period_s=_LOG_EVERY_S)

    def receive(self, data: bytes, flow: Flow) -> None:
        now = self._loop.time()
        why = self._gate.receive(data, flow, now=now)
        if why is None:
            self._receiver.receive(data, flow)
        elif (before := self._log.allow(now=now)) is not None:
            hint = "; [sip] allowed_sources says who may call" if why is Kept.SOURCE else ""
            _logger.warning("dropped a message of %s (%s), %d before it%s", flow.host, why.value, before, hint)

    def flow_lost(self, flow: Flow) -> None:
        self._receiver.flow_lost(flow)


class SipSockets:
    """Owns the sockets. What arrives before `attach` is dropped, and so is what the gate does not let through.

    Without `tls` nobody is reached by it.
    """

    def __init__(
        self,
        *,
        gate: SourceGate | None = None,
        tcp_limits: TcpLimits | None = None,
        tls: TlsContexts | None = None,
    ) -> None:
        self.gate = gate or SourceGate(GateLimits())
        self._receiver: Receiver | None = None
        self._udp: asyncio.DatagramTransport | None = None
        limits = tcp_limits or TcpLimits()

        def connections(client_tls: ssl.SSLContext | None) -> TcpConnections:
            return TcpConnections(
                lambda: self._receiver, limits=limits, listens_to=self._listens_to, client_tls=client_tls
            )

        self._tcp = connections(None)
        self._contexts = tls
        self._tls = None if tls is None else connections(tls.client)
        self._address = ("", 0)
        self._tls_port = 0
        self.dropped = 0  # datagrams that the kernel did not take, or not in time

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, once it is open."""
        return self._address

    @property
    def tls_port(self) -> int:
        """Where it listens for TLS; 0: nowhere."""
        return self._tls_port

    async def open(self, host: str, port: int, *, tcp: bool, tls_port: int = 0) -> tuple[str, int]:
        """Bind UDP, TCP on the same port, and TLS where there is a certificate; port 0 takes a free one.

        Raises `OSError`.
        """
        for attempt in range(_PORT_TRIES):
            await self._open_udp(host, port)
            try:
                if tcp:
                    await self._tcp.listen(host, self._address[1])
            except OSError:
                # The free UDP port may be somebody's TCP port.
                await self.close()
                if port or attempt == _PORT_TRIES - 1:
                    raise
            else:
                break
        if self._tls is not None and self._contexts is not None and self._contexts.server is not None:
            try:
                self._tls_port = await self._tls.listen(host, tls_port, tls=self._contexts.server)
            except OSError:
                await self.close()
                raise
        return self._address

    async def _open_udp(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(host, port))
        own: socket.socket = transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._udp = transport
        self._address = cast("tuple[str, int]", transport.get_extra_info("sockname")[:2])

    def attach(self, receiver: Receiver) -> None:
        """Say who takes what arrives."""
        self._receiver = _Gated(receiver, self.gate)

    def _listens_to(self, host: str) -> bool:
        return self.gate.listens_to(host, now=asyncio.get_running_loop().time())

    def deliver(self, data: bytes, flow: Flow) -> None:
        """Hand one datagram on."""
        if self._receiver is not None:
            self._receiver.receive(data, flow)

    def transmit(self, data: bytes, flow: Flow) -> None:
        """Send one message."""
        if self.gate.send(data, flow, now=asyncio.get_running_loop().time()) is not None:
            return
        if flow.transport == "tls":
            self._transmit_tls(data, flow)
        elif flow.reliable:
            self._tcp.transmit(data, flow)
        elif self._udp is None or _buffered_bytes(self._udp) > MAX_SEND_BUFFER_BYTES:
            self.dropped += 1
        else:
            try:
                self._udp.sendto(data, (flow.host, flow.port))
            except ValueError:  # uvloop's word for an address of the other family
                self.dropped += 1

    def _transmit_tls(self, data: bytes, flow: Flow) -> None:
        if self._tls is not None:
            self._tls.transmit(data, flow)
        elif self._receiver is not None:
            asyncio.get_running_loop().call_soon(self._receiver.flow_lost, flow)

    def keep(self, sip_call_id: str) -> None:
        """Nothing to note: everything comes here."""

    def release(self, sip_call_id: str) -> None:
        """Nothing to note: everything comes here."""

    async def close(self) -> None:
        """Close all sockets."""
        if self._udp is not None:
            self._udp.close()
            self._udp = None
        await self._tcp.close()
        if self._tls is not None:
            await self._tls.close()


def _buffered_bytes(transport: asyncio.DatagramTransport) -> int:
    # asyncio and uvloop have it for datagrams too, though the abstract class does not say so.
    return cast("asyncio.WriteTransport", transport).get_write_buffer_size()
