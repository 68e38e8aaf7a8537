"""`SourceGate`: what the public sockets let in and out, decided before a message is read.

Let in is whoever the source list names, and whoever we called or registered with; each source has a measured rate. What
goes out over UDP to an address that has proven nothing stays in proportion to what came from it, so a forged
source address is worth little (the measure of RFC 9000 section 8.1, three times, and a small allowance for the first
answers). What is kept out is dropped without an answer: nobody learns that there is anything to try.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

from telephony.sip.flow import Flow
from telephony.sip.scanner import is_scanner
from telephony.sip.token_bucket import MAX_SOURCES, TokenBuckets
from telephony.source_list import LOOPBACK, SourceList

CALLED_FOR_S = 24 * 3600.0
"""How long we listen to a host after we last called it or registered with it: longer than any call."""

REPLY_FACTOR = 3.0
FIRST_REPLY_BYTES = 4096
"""What may go to an address before anything has come from it, in responses and in requests each.

Repetitions of a 200 that nobody acknowledges must not use up what its BYE needs.
"""

_MAX_CREDIT_BYTES = 262_144
_REQUEST = re.compile(rb"(?!SIP/)[A-Z]+ ")
_TO_TAG = re.compile(rb"^To:[^\r\n]*;tag=", re.IGNORECASE | re.MULTILINE)


def _begins(data: bytes) -> bool:
    """Whether a message of ours begins something with its target: a request whose To has no tag yet, or an ACK.

    An ACK goes to whoever answered a call of ours, which need not be the host that we called.
    """
    return _REQUEST.match(data) is not None and (data.startswith(b"ACK ") or _TO_TAG.search(data) is None)


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What strangers may take."""

    allowed: tuple[str, ...] = LOOPBACK
    messages_per_s: float = 500.0  # of one source
    burst: int = 1000
    max_sources: int = MAX_SOURCES


class Kept(Enum):
    """Why a message did not pass."""

    SOURCE = "source"  # not on the list
    RATE = "rate"
    SCANNER = "scanner"
    REPLY = "reply"  # would have been out of proportion


class _Credits:
    """Bytes that may go to each host; of too many hosts the one heard least lately is forgotten."""

    def __init__(self, max_hosts: int) -> None:
        self._max = max_hosts
        self._bytes: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._bytes)

    def earn(self, host: str, amount: float) -> None:
        """Add, up to a limit."""
        self._put(host, min(_MAX_CREDIT_BYTES, self._bytes.get(host, FIRST_REPLY_BYTES) + amount))

    def spend(self, host: str, amount: int) -> bool:
        """Take away; False, and nothing is taken, where there is too little."""
        left = self._bytes.get(host, FIRST_REPLY_BYTES) - amount
        if left >= 0:
            self._put(host, left)
        return left >= 0

    def _put(self, host: str, amount: float) -> None:
        self._bytes[host] = amount
        self._bytes.move_to_end(host)
        if len(self._bytes) > self._max:
            self._bytes.popitem(last=False)


class SourceGate:
    """Judges messages by where they come from and go to; `kept` counts those that did not pass."""

    def __init__(self, limits: GateLimits) -> None:
        self._list = SourceList(limits.allowed)
        self._rates = TokenBuckets(per_s=limits.messages_per_s, burst=limits.burst, max_sources=limits.max_sources)
        self._replies = _Credits(limits.max_sources)
        self._requests = _Credits(limits.max_sources)
        self._called: OrderedDict[str, float] = OrderedDict()  # until when we listen to a host
        self._max = limits.max_sources
        self.kept = dict.fromkeys(Kept, 0)

    def listens_to(self, host: str, *, now: float) -> bool:
        """Whether a host is on the list, or one that we called."""
        return self._list.allows(host) or self._called.get(host, now) > now

    def receive(self, data: bytes, flow: Flow, *, now: float) -> Kept | None:
        """Judge a message that came: None lets it in."""
        if not self.listens_to(flow.host, now=now):
            return self._keep(Kept.SOURCE)
        if not self._rates.take(flow.host, now=now):
            return self._keep(Kept.RATE)
        if is_scanner(data):
            return self._keep(Kept.SCANNER)
        if not flow.reliable:
            for credits_ in (self._replies, self._requests):
                credits_.earn(flow.host, REPLY_FACTOR * len(data))
        return None

    def send(self, data: bytes, flow: Flow, *, now: float) -> Kept | None:
        """Judge a message of ours: None lets it out. What begins something is our own wish, and always may go."""
        if _begins(data):
            self._called.pop(flow.host, None)
            self._called[flow.host] = now + CALLED_FOR_S
            if len(self._called) > self._max:
                self._called.popitem(last=False)
            return None
        if flow.reliable:
            # The handshake of TCP and TLS has shown that a peer is where it says. But nothing is opened to a host that
            # only a Contact or a Record-Route names: a caller would have us knock at any port of our own network.
            known = flow.connection or self.listens_to(flow.host, now=now)
            return None if known else self._keep(Kept.SOURCE)
        if self._called.get(flow.host, now) > now:
            return None
        spending = self._requests if _REQUEST.match(data) else self._replies
        return None if spending.spend(flow.host, len(data)) else self._keep(Kept.REPLY)

    def _keep(self, why: Kept) -> Kept:
        self.kept[why] += 1
        return why
