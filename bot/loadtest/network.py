"""`RelayedTarget`: UDP relays between callers and bot, through an `Impairment` each way; IPv4.

For SIP the caller dials the relay, which puts itself into Via, Contact and SDP; for WebRTC the bot's candidates are
replaced by relays and the caller's are left out, so that the bot knows only whom the checks come from. RTCP of SIP
calls does not pass.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import Callable
from typing import Self

from bot.loadtest.impairment import Impairment, NetworkModel
from telephony.sip.uri import SipUri, parse_uri

Address = tuple[str, int]
_MEDIA = re.compile(rb"m=audio (\d+) ")
_CALL_ID = re.compile(rb"(?im)^call-id: *(\S+)")
_CANDIDATE = re.compile(r"(?m)^(a=candidate:\S+ 1 udp \d+ )(\d+\.\d+\.\d+\.\d+) (\d+)( typ host.*)$", re.IGNORECASE)
_ANY_CANDIDATE = re.compile(r"(?m)^a=candidate:.*\r?\n")
_HOST = "127.0.0.1"


class RelayedTarget:
    """Close it (`with`) when the calls are over; datagrams still on their way are lost."""

    def __init__(self, target: str, model: NetworkModel, *, seed: int) -> None:
        self._service: Address = _address(target) if target.startswith("sip") else ("", 0)
        self._user = target.partition(":")[2].partition("@")[0] if "@" in target else ""
        dice = random.Random(seed)  # noqa: S311  # a network to be had again, no secret
        self.to_bot = Impairment(model, dice=dice.random)
        self.to_caller = Impairment(model, dice=dice.random)
        self._caller: Address | None = None
        self._sockets: list[socket.socket] = []
        self._loop = asyncio.get_running_loop()
        self._relays: dict[bytes, tuple[socket.socket, socket.socket, list[Address]]] = {}  # by Call-ID
        if self._service[0]:
            self._front = self._open(self._from_caller)
            self._back = self._open(self._from_service)

    @property
    def sip_uri(self) -> str:
        """What the caller dials."""
        user = f"{self._user}@" if self._user else ""
        return f"sip:{user}{_HOST}:{_name(self._front)[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._sockets:
            self._loop.remove_reader(end)
            end.close()

    def _open(self, on_datagram: Callable[[bytes, Address], None]) -> socket.socket:
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.setblocking(False)
        end.bind((_HOST, 0))
        self._sockets.append(end)

        def read() -> None:
            try:
                data, source = end.recvfrom(65_535)
            except OSError:  # an ICMP error of what was sent before
                return
            on_datagram(data, source)

        self._loop.add_reader(end, read)
        return end

    def _pass(self, data: bytes, way: Impairment, via: socket.socket, to: Address) -> None:
        at = way.take(now=self._loop.time())
        if at is not None:
            self._loop.call_at(at, self._send, data, via, to)

    @staticmethod
    def _send(data: bytes, via: socket.socket, to: Address) -> None:
        if via.fileno() >= 0 and to[1]:
            via.sendto(data, to)

    # SIP

    def _from_caller(self, data: bytes, source: Address) -> None:
        self._caller = source
        data = _replace(data, {source: _name(self._back), _name(self._front): self._service})
        self._pass(self._with_relay(data, by_caller=True), self.to_bot, self._back, self._service)

    def _from_service(self, data: bytes, _: Address) -> None:
        if self._caller is not None:
            data = _replace(data, {_name(self._back): self._caller, self._service: _name(self._front)})
            self._pass(self._with_relay(data, by_caller=False), self.to_caller, self._front, self._caller)

    def _with_relay(self, message: bytes, *, by_caller: bool) -> bytes:
        """Put the relay's port in the place of a description's own."""
        found, call_id = _MEDIA.search(message), _CALL_ID.search(message)
        if found is None or call_id is None:
            return message
        if call_id[1] not in self._relays:
            ends: list[Address] = [("", 0), ("", 0)]  # the caller's, the service's
            relay: list[socket.socket] = []
            relay.append(self._open(lambda data, _: self._pass(data, self.to_caller, relay[1], ends[0])))
            relay.append(self._open(lambda data, _: self._pass(data, self.to_bot, relay[0], ends[1])))
            self._relays[call_id[1]] = (relay[0], relay[1], ends)
        to_service, to_caller, ends = self._relays[call_id[1]]
        ends[0 if by_caller else 1] = (_HOST, int(found[1]))
        shown = _name(to_service if by_caller else to_caller)[1]
        return _with_length(message.replace(found[0], b"m=audio %d " % shown))

    # WebRTC

    @staticmethod
    def hide_candidates(offer: str) -> str:
        """Take the caller's own addresses out of its offer."""
        return _ANY_CANDIDATE.sub("", offer)

    def relay_candidates(self, answer: str) -> str:
        """Put a relay in the place of the bot's first address, and leave out the others."""
        found = next((one for one in _CANDIDATE.finditer(answer) if one[2].startswith("127.")), None)
        found = found or _CANDIDATE.search(answer)
        if found is None:
            return answer
        relay = self._relay_to((found[2], int(found[3])))
        line = f"{found[1]}{_HOST} {relay[1]}{found[4]}\n"
        kept = iter((line,))
        return _ANY_CANDIDATE.sub(lambda _: next(kept, ""), answer)

    def _relay_to(self, bot: Address) -> Address:
        caller: list[Address] = [("", 0)]
        ends: list[socket.socket] = []

        def from_caller(data: bytes, source: Address) -> None:
            caller[0] = source
            self._pass(data, self.to_bot, ends[1], bot)

        ends.append(self._open(from_caller))
        ends.append(self._open(lambda data, _: self._pass(data, self.to_caller, ends[0], caller[0])))
        return _name(ends[0])


def _address(target: str) -> Address:
    uri = parse_uri(target)
    assert isinstance(uri, SipUri), "a plan's target is a SIP URI or a page"
    return socket.gethostbyname(uri.host), uri.port or 5060


def _name(end: socket.socket) -> Address:
    host, port = end.getsockname()
    return host, port


def _replace(message: bytes, names: dict[Address, Address]) -> bytes:
    head, separator, body = message.partition(b"\r\n\r\n")
    for old, new in names.items():
        head = head.replace(b"%s:%d" % (old[0].encode(), old[1]), b"%s:%d" % (new[0].encode(), new[1]))
    return head + separator + body


def _with_length(message: bytes) -> bytes:
    head, separator, body = message.partition(b"\r\n\r\n")
    return re.sub(rb"(?im)^(content-length|l)( *: *)\d+", rb"\g<1>\g<2>%d" % len(body), head) + separator + body
