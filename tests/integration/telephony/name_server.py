"""A DNS server on 127.0.0.1 with a zone of the test's own; it counts what it is asked, and may fall silent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.zone


class NameServer(asyncio.DatagramProtocol):
    """Answers from one zone; anything else does not exist."""

    def __init__(self, zone: dns.zone.Zone) -> None:
        self._zone = zone
        self.asked: Counter[tuple[str, str]] = Counter()
        self.silent_on: set[str] = set()  # kinds that it swallows
        self.port = 0

    @property
    def address(self) -> str:
        """As `[sip] dns_servers` wants it."""
        return f"127.0.0.1:{self.port}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked[question.name.to_text(omit_final_dot=True), kind] += 1
        if kind not in self.silent_on:
            self._transport.sendto(self._answer(query, question.name, question.rdtype).to_wire(), addr)

    def _answer(
        self, query: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        while (alias := self._zone.get_rrset(name, dns.rdatatype.CNAME)) is not None:
            response.answer.append(alias)
            name = alias[0].target
        found = self._zone.get_rrset(name, kind)
        if found is not None:
            response.answer.append(found)
            return response
        if self._zone.get_node(name) is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(self._zone.get_rrset(self._zone.origin, dns.rdatatype.SOA))
        return response


@asynccontextmanager
async def name_server(records: str, *, origin: str = "example.az.", ttl_s: int = 60) -> AsyncIterator[NameServer]:
    """Serve these lines of a zone file."""
    soa = f"$TTL {ttl_s}\n@ SOA ns admin 1 3600 600 86400 {ttl_s}\n@ NS ns\nns A 127.0.0.1\n"
    zone = dns.zone.from_text(soa + records, origin=origin, relativize=False)
    server = NameServer(zone)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
    server.port = transport.get_extra_info("sockname")[1]
    try:
        yield server
    finally:
        transport.close()
