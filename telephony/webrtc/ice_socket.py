"""`IceSocket`: a UDP socket under one of aioice's STUN protocols, which the call's tick may read by itself.

An event loop wakes for each datagram that comes, and aioice tries to read each as STUN: a fifth of a call's CPU time.
While media flows nothing wakes for a packet; what has come is read by one system call when the next frame is due,
with the kernel's note of when it came.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import time
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate

from telephony.rtp.source import Address
from telephony.rtp.syscalls import DatagramCalls

_MTU: Final = 2048
_READ_AT_ONCE: Final = 64  # a flood is read in parts
_BUFFER_BYTES: Final = 262_144  # what the kernel holds until the next tick
_STUN_TIMEOUT_S: Final = 1  # aioice waits 5 s


_log = logging.getLogger(__name__)

# aioice's connection and its STUN protocol: without types here as in the seam.
_Connection: TypeAlias = Any
_Protocol: TypeAlias = Any


class IceSocket:
    """What aioice uses of `asyncio.DatagramTransport`, and `read`. `calls` is None elsewhere than on Linux."""

    def __init__(
        self, opened: socket.socket, protocol: _Protocol, loop: asyncio.AbstractEventLoop, calls: DatagramCalls | None
    ) -> None:
        self._socket = opened
        self._descriptor = opened.fileno()
        self._protocol = protocol
        self._loop = loop
        self._calls = calls
        self._closed = False
        loop.add_reader(self._descriptor, self._on_readable)

    # As aioice knows it

    def sendto(self, data: bytes, address: Address) -> None:
        """Send a datagram at once; one that cannot go is forgotten, as on a line that loses it."""
        if self._closed:
            return
        if self._calls is not None:
            self._calls.send(self._descriptor, data, address)
            return
        with contextlib.suppress(OSError):
            self._socket.sendto(data, address)

    def close(self) -> None:
        """Close the socket; the protocol is told in the loop's next round."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._descriptor)
            self._socket.close()
            self._loop.call_soon(self._protocol.connection_lost, None)

    def get_extra_info(self, name: str) -> object:
        """The address, as `sockname`; None for anything else."""
        return self._socket.getsockname() if name == "sockname" else None

    # As the call knows it

    def hold(self) -> None:
        """Have the loop wake for datagrams no more: `read` follows every 20 ms."""
        if not self._closed:
            self._loop.remove_reader(self._descriptor)

    def release(self) -> None:
        """Have the loop read again."""
        if not self._closed:
            self._loop.add_reader(self._descriptor, self._on_readable)

    def read(self, *, now: float) -> list[tuple[bytes, Address, float]]:
        """Read what has come: data, source, and when (on the clock of `now`)."""
        if self._closed:
            return []
        if self._calls is not None:
            return self._calls.receive(self._descriptor, now=now)
        datagrams: list[tuple[bytes, Address, float]] = []
        for _ in range(_READ_AT_ONCE):
            try:
                data, source = self._socket.recvfrom(_MTU)
            except OSError:
                break  # nothing more
            datagrams.append((data, (source[0], source[1]), now))
        return datagrams

    def hand_on(self, data: bytes, source: Address) -> None:
        """Give aioice a datagram. It stumbles over STUN with an attribute cut short: such a one is passed over."""
        try:
            self._protocol.datagram_received(data, source)
        except Exception:  # noqa: BLE001 - from anyone, and it must neither end the call nor fill the log
            _log.debug("aioice cannot take a datagram", exc_info=True)

    def _on_readable(self) -> None:
        for data, source, _ in self.read(now=time.monotonic()):
            self.hand_on(data, source)


async def gather_hosts(
    connection: _Connection, addresses: Sequence[str], component: int, calls: DatagramCalls | None
) -> list[Candidate]:
    """Bind a port at each address and give its candidate, and what a STUN server sees of it where one is set.

    In place of the half of aioice's `get_component_candidates` that binds; an address that cannot be bound is left out.
    """
    loop = asyncio.get_running_loop()
    protocols: list[_Protocol] = []
    for address in addresses:
        protocol = _bound(connection, address, component, loop, calls)
        if protocol is not None:
            protocols.append(protocol)
    connection._protocols += protocols  # noqa: SLF001 - the seam's
    candidates = [protocol.local_candidate for protocol in protocols]
    if connection.stun_server:
        candidates += await _seen_by_stun([each for each in protocols if "." in each.local_candidate.host], connection)
    return candidates


def _bound(
    connection: _Connection, address: str, component: int, loop: asyncio.AbstractEventLoop, calls: DatagramCalls | None
) -> _Protocol | None:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        if calls is not None:
            calls.prepare(opened)
        opened.bind((address, 0))
    except OSError:
        opened.close()
        return None
    protocol: _Protocol = StunProtocol(connection)
    protocol.connection_made(IceSocket(opened, protocol, loop, calls))
    host, port = opened.getsockname()[:2]
    protocol.local_candidate = Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host"),
        host=host,
        port=port,
        type="host",
    )
    return protocol


async def _seen_by_stun(protocols: list[_Protocol], connection: _Connection) -> list[Candidate]:
    """Ask the STUN server (IPv4, as aioice does); who asks in vain has no such candidate."""
    asking = [asyncio.create_task(server_reflexive_candidate(each, connection.stun_server)) for each in protocols]
    if not asking:
        return []
    done, pending = await asyncio.wait(asking, timeout=_STUN_TIMEOUT_S)
    for task in pending:
        task.cancel()
    return [task.result()[0] for task in done if task.exception() is None]


def usable_candidates(lines: Sequence[str]) -> list[Candidate]:
    """UDP candidates with an address. A name (mDNS) is left out: its owner's checks show the address behind it."""
    candidates: list[Candidate] = []
    for line in lines:
        with contextlib.suppress(ValueError):
            candidate = Candidate.from_sdp(line)
            ipaddress.ip_address(candidate.host)
            if candidate.transport.lower() == "udp" and candidate.component == 1 and 0 < candidate.port < 65_536:
                candidates.append(candidate)
    return candidates
