"""`Resolver`: asks DNS where SIP URIs lead (RFC 3263); dnspython asks, waits and caches, `location.py` knows what.

A name that DNS does not know is looked for where the system does, so /etc/hosts counts.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from telephony.errors import LocalProtocolError, SipParseError
from telephony.sip.flow import Flow
from telephony.sip.location import NaptrRecord, Question, Record, locate
from telephony.sip.sdp import AddressType
from telephony.sip.srv_order import SrvRecord
from telephony.sip.uri import SipUri, parse_host_port, unbracketed

_CACHED_ANSWERS = 1_000
_TRY_S, _QUESTION_S, _ALL_S = 1.0, 2.5, 8.0
_SILENCE_S = 60.0
"""How long a question that nobody answered is not asked again."""

_random = random.SystemRandom()


class Resolver:
    """One a process. Answers are kept for as long as their TTL says, a thousand at most."""

    def __init__(self, *, servers: Sequence[str] = (), services: bool = True) -> None:
        """`servers`: address, or address:port; none: the system's. Raises `LocalProtocolError` for what is neither.

        Without `services` only addresses are asked for, no NAPTR and SRV.
        """
        self._servers = [_nameserver(server) for server in servers]
        self._services = services
        self._dns: dns.asyncresolver.Resolver | None = None
        self._silent: dict[Question, float] = {}

    async def find(self, uri: SipUri, *, family: AddressType) -> tuple[Flow, ...]:
        """Find every server of a URI, in the order to try them; raises `OSError` when there is none."""
        locating = locate(uri, family=family, services=self._services, fraction=_random.random)
        try:
            async with asyncio.timeout(_ALL_S):
                questions = next(locating)
                while True:
                    questions = locating.send(await asyncio.gather(*map(self._ask, questions)))
        except StopIteration as done:
            found: tuple[Flow, ...] = done.value
        if not found:
            raise OSError(f"no server of {uri.host} is found")
        return found

    async def _ask(self, question: Question) -> list[Record]:
        is_address = question.kind in ("A", "AAAA")
        found: list[Record] = []
        if "." in question.name:
            found = await self._ask_dns(question)
        return found or (await _ask_system(question) if is_address else [])

    async def _ask_dns(self, question: Question) -> list[Record]:
        now = asyncio.get_running_loop().time()
        if self._silent.get(question, 0.0) > now:
            return []
        try:
            resolver = self._dns = self._dns or await asyncio.to_thread(self._open)
            answer = await resolver.resolve(f"{question.name}.", question.kind, raise_on_no_answer=False)
        except dns.exception.Timeout:
            # Some networks swallow what they do not know: once is enough to wait for it.
            if len(self._silent) >= _CACHED_ANSWERS:
                self._silent.clear()
            self._silent[question] = now + _SILENCE_S
            return []
        except (dns.exception.DNSException, OSError):
            return []
        return [_record(data) for data in answer.rrset or ()]

    def _open(self) -> dns.asyncresolver.Resolver:
        """Read the system's settings when they are first needed."""
        resolver = dns.asyncresolver.Resolver(configure=not self._servers)
        if self._servers:
            resolver.nameservers = self._servers
        resolver.cache = dns.resolver.LRUCache(_CACHED_ANSWERS)
        resolver.timeout, resolver.lifetime = _TRY_S, _QUESTION_S
        return resolver


def _record(data: object) -> Record:
    match data:
        case NAPTR():
            replacement = data.replacement.to_text(omit_final_dot=True)
            return NaptrRecord(data.order, data.preference, _text(data.flags), _text(data.service), replacement)
        case SRV():
            target = data.target.to_text(omit_final_dot=True)
            return SrvRecord(data.priority, data.weight, data.port, "" if target == "." else target)
        case A() | AAAA():
            return data.address
        case _:
            return ""  # what was not asked for


def _text(data: bytes) -> str:
    return data.decode("ascii", "replace")


async def _ask_system(question: Question) -> list[Record]:
    family = socket.AF_INET6 if question.kind == "AAAA" else socket.AF_INET
    try:
        found = await asyncio.get_running_loop().getaddrinfo(question.name, None, family=family, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):  # a label that is empty or too long is no OSError
        return []
    return [str(address[0]) for *_, address in found]


def _nameserver(server: str) -> dns.nameserver.Nameserver:
    try:
        host, port = parse_host_port(f"[{server}]" if server.count(":") > 1 and "[" not in server else server)
        return dns.nameserver.Do53Nameserver(str(ipaddress.ip_address(unbracketed(host))), port or 53)
    except (SipParseError, ValueError) as error:
        raise LocalProtocolError(f"[sip] dns_servers: {server} is neither an address nor address:port") from error
