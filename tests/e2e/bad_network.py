"""A UDP proxy between a caller and the service that loses, delays and reorders, signalling and sound; seeded."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import Callable
from typing import Self

Address = tuple[str, int]
_MEDIA = re.compile(rb"m=audio (\d+) ")


class BadNetwork:
    """Rewrites the ports in SIP and SDP so that everything of a call passes through it. IPv4 loopback, UDP, no RTCP."""

    def __init__(self, service: Address, *, seed: int, loss: float, reorder: float) -> None:
        self._dice = random.Random(seed)
        self._loss, self._reorder = loss, reorder
        self._service = service
        self._caller: Address | None = None
        self._sockets: list[socket.socket] = []
        self._loop = asyncio.get_running_loop()
        self._front = self._open(self._from_caller)
        self._back = self._open(self._from_service)
        self._relays: dict[bytes, tuple[socket.socket, socket.socket, list[Address]]] = {}  # by Call-ID
        self.lost = self.reordered = self.passed = 0

    @property
    def address(self) -> Address:
        """What the caller dials."""
        return _name(self._front)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close every socket; datagrams still on their way are lost."""
        for end in self._sockets:
            self._loop.remove_reader(end)
            end.close()

    def _open(self, on_datagram: Callable[[bytes, Address], None]) -> socket.socket:
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.setblocking(False)
        end.bind(("127.0.0.1", 0))
        self._sockets.append(end)

        def read() -> None:
            try:
                data, source = end.recvfrom(65_535)
            except OSError:  # an ICMP error of what was sent before
                return
            on_datagram(data, source)

        self._loop.add_reader(end, read)
        return end

    def _pass(self, data: bytes, via: socket.socket, to: Address) -> None:
        if self._dice.random() < self._loss:
            self.lost += 1
            return
        self.passed += 1
        late = self._dice.random() < self._reorder
        self.reordered += late
        self._loop.call_later(self._dice.uniform(0.021, 0.045) if late else 0.0, self._send, data, via, to)

    @staticmethod
    def _send(data: bytes, via: socket.socket, to: Address) -> None:
        if via.fileno() >= 0:
            via.sendto(data, to)

    def _from_caller(self, data: bytes, source: Address) -> None:
        self._caller = source
        data = _replace(data, {source: _name(self._back), _name(self._front): self._service})
        self._pass(self._with_relay(data, by_caller=True), self._back, self._service)

    def _from_service(self, data: bytes, _: Address) -> None:
        assert self._caller is not None
        data = _replace(data, {_name(self._back): self._caller, self._service: _name(self._front)})
        self._pass(self._with_relay(data, by_caller=False), self._front, self._caller)

    def _with_relay(self, message: bytes, *, by_caller: bool) -> bytes:
        """Put the relay's port in the place of a description's own."""
        found = _MEDIA.search(message)
        call_id = re.search(rb"(?im)^call-id: *(\S+)", message)
        if found is None or call_id is None:
            return message
        if call_id[1] not in self._relays:
            ends: list[Address] = [("", 0), ("", 0)]  # the caller's, the service's
            relay: list[socket.socket] = []
            relay.append(self._open(lambda data, _: self._pass(data, relay[1], ends[0])))  # hears the service
            relay.append(self._open(lambda data, _: self._pass(data, relay[0], ends[1])))  # hears the caller
            self._relays[call_id[1]] = (relay[0], relay[1], ends)
        to_service, to_caller, ends = self._relays[call_id[1]]
        ends[0 if by_caller else 1] = ("127.0.0.1", int(found[1]))
        shown = _name(to_service if by_caller else to_caller)[1]
        assert len(str(shown)) == len(found[1]), "Content-Length must stay"
        return message.replace(found[0], b"m=audio %d " % shown)


def _name(end: socket.socket) -> Address:
    host, port = end.getsockname()
    return host, port


def _replace(message: bytes, names: dict[Address, Address]) -> bytes:
    for old, new in names.items():
        message = message.replace(b"%s:%d" % (old[0].encode(), old[1]), b"%s:%d" % (new[0].encode(), new[1]))
    return message
