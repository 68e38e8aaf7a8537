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
from dataclasses import dataclass
from typing import Self

from bot.loadtest.impairment import Impairment, NetworkModel
from telephony.sip.uri import SipUri, parse_uri

Address = tuple[str, int]
_MEDIA = re.compile(rb"m=audio (\d+) ")
_CALL_ID = re.compile(rb"(?im)^call-id: *(\S+)")
_CANDIDATE = re.compile(r"(?m)^(a=candidate:\S+ 1 udp \d+ )(\d+\.\d+\.\d+\.\d+) (\d+)( typ host.*)$", re.IGNORECASE)
_ANY_CANDIDATE = re.compile(r"(?m)^a=candidate:.*\r?\n")
_HOST = "127.0.0.1"
_IDLE_S = 30.0


@dataclass(slots=True)
class _Relay:
    to_bot: socket.socket  # hears the bot and sends to it
    to_caller: socket.socket
    ends: list[Address]  # the caller's, the bot's
    used_at: float


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
        self._relays: dict[bytes, _Relay] = {}  # of SIP calls, by Call-ID
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
        relay = self._relays.get(call_id[1])
        if relay is None:
            self._close_idle()
            relay = self._relays[call_id[1]] = self._join((_HOST, 0), (_HOST, 0))
        relay.ends[0 if by_caller else 1] = (_HOST, int(found[1]))
        shown = _name(relay.to_bot if by_caller else relay.to_caller)[1]
        return _with_length(message.replace(found[0], b"m=audio %d " % shown))

    def _join(self, caller: Address, bot: Address) -> _Relay:
        """Open a relay between two ends; each side's socket hears that side and sends to it."""

        def from_bot(data: bytes, _: Address) -> None:
            relay.used_at = self._loop.time()
            self._pass(data, self.to_caller, relay.to_caller, relay.ends[0])

        def from_caller(data: bytes, source: Address) -> None:
            relay.used_at = self._loop.time()
            relay.ends[0] = source
            self._pass(data, self.to_bot, relay.to_bot, relay.ends[1])

        relay = _Relay(self._open(from_bot), self._open(from_caller), [caller, bot], self._loop.time())
        return relay

    def _close_idle(self) -> None:
        """Close the relays of calls that are long over."""
        for call_id, relay in list(self._relays.items()):
            if self._loop.time() - relay.used_at > _IDLE_S:
                del self._relays[call_id]
                for end in (relay.to_bot, relay.to_caller):
                    self._loop.remove_reader(end)
                    self._sockets.remove(end)
                    end.close()

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
        relay = self._join((_HOST, 0), (found[2], int(found[3])))
        line = f"{found[1]}{_HOST} {_name(relay.to_caller)[1]}{found[4]}\n"
        kept = iter((line,))
        return _ANY_CANDIDATE.sub(lambda _: next(kept, ""), answer)


def sip_target(target: str) -> SipUri:
    """Read a plan's target that is no page."""
    uri = parse_uri(target)
    assert isinstance(uri, SipUri), "a plan's target is a SIP URI or a page"
    return uri


def _address(target: str) -> Address:
    uri = sip_target(target)
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
