"""Names of SIP servers are looked up with a real DNS server, over UDP on this machine."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from telephony.errors import LocalProtocolError
from telephony.sip import resolution
from telephony.sip.flow import Flow
from telephony.sip.resolution import Resolver
from telephony.sip.uri import SipUri
from tests.integration.telephony.name_server import name_server

ZONE = """
@          NAPTR 10 10 "s" "SIPS+D2T" "" _sips._tcp.example.az.
@          NAPTR 20 10 "s" "SIP+D2U" "" _sip._udp.example.az.
_sips._tcp SRV 0 0 5061 a
_sip._udp  SRV 20 0 5070 a
_sip._udp  SRV 10 0 5060 b
_sip._tcp.gone SRV 0 0 0 .
a          A 192.0.2.1
a          AAAA 2001:db8::1
b          A 192.0.2.2
plain      A 192.0.2.9
alias      CNAME plain
"""
DOMAIN = SipUri("example.az")


async def test_a_domain_leads_to_its_services_in_their_order() -> None:
    async with name_server(ZONE) as dns:
        found = await Resolver(servers=(dns.address,)).find(DOMAIN, family="IP4")

    assert found == (
        Flow("tls", "192.0.2.1", 5061, server_name="example.az"),
        Flow("udp", "192.0.2.2", 5060),
        Flow("udp", "192.0.2.1", 5070),
    )


async def test_a_name_without_services_is_its_own_server_by_an_alias_too() -> None:
    async with name_server(ZONE) as dns:
        resolver = Resolver(servers=(dns.address,))
        found = await resolver.find(SipUri("alias.example.az"), family="IP4")
        six = await resolver.find(SipUri("a.example.az", port=5070), family="IP6")

    assert (found, six) == ((Flow("udp", "192.0.2.9", 5060),), (Flow("udp", "2001:db8::1", 5070),))


async def test_answers_are_kept_for_their_time_and_so_is_that_there_are_none() -> None:
    async with name_server(ZONE) as dns:
        resolver = Resolver(servers=(dns.address,))
        for _ in range(3):
            await resolver.find(DOMAIN, family="IP4")
            await resolver.find(SipUri("plain.example.az"), family="IP4")

        assert set(dns.asked.values()) == {1}
        assert dns.asked["_sip._udp.plain.example.az", "SRV"] == 1


async def test_an_answer_that_is_worth_nothing_is_not_kept() -> None:
    async with name_server(ZONE, ttl_s=0) as dns:
        resolver = Resolver(servers=(dns.address,))
        await resolver.find(SipUri("plain.example.az", port=5060), family="IP4")
        await resolver.find(SipUri("plain.example.az", port=5060), family="IP4")

        assert dns.asked["plain.example.az", "A"] == 2


@pytest.mark.parametrize(
    "uri",
    [
        SipUri("gone.example.az", parameters=(("transport", "tcp"),)),
        SipUri("no.example.az"),
        SipUri("no..example.az"),
        SipUri(f"{'n' * 64}.example.az"),
    ],
)
async def test_a_name_that_leads_nowhere_says_so(uri: SipUri) -> None:
    async with name_server(ZONE) as dns:
        with pytest.raises(OSError, match=f"no server of {uri.host} is found"):
            await Resolver(servers=(dns.address,)).find(uri, family="IP4")


async def test_a_network_that_swallows_service_questions_costs_one_wait_and_blocks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resolution, "_TRY_S", 0.1)
    monkeypatch.setattr(resolution, "_QUESTION_S", 0.2)
    async with name_server(ZONE) as dns:
        dns.silent_on = {"NAPTR", "SRV"}
        resolver = Resolver(servers=(dns.address,))
        plain = SipUri("plain.example.az")
        looking = asyncio.create_task(resolver.find(plain, family="IP4"))
        turns = 0
        while not looking.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 10

        asked, before = dns.asked.total(), time.monotonic()
        assert await resolver.find(plain, family="IP4") == looking.result()
        assert (dns.asked.total(), time.monotonic() - before < 0.2) == (asked, True)


async def test_this_machines_own_names_are_found_without_dns() -> None:
    async with name_server(ZONE) as dns:
        found = await Resolver(servers=(dns.address,)).find(SipUri("localhost", port=5070), family="IP4")

        assert (found, dns.asked.total()) == ((Flow("udp", "127.0.0.1", 5070),), 0)


async def test_a_service_may_be_told_to_ask_for_addresses_alone() -> None:
    async with name_server(ZONE) as dns:
        resolver = Resolver(servers=(dns.address,), services=False)
        found = await resolver.find(replace(DOMAIN, host="plain.example.az"), family="IP4")

        assert (found, set(dns.asked)) == ((Flow("udp", "192.0.2.9", 5060),), {("plain.example.az", "A")})


@pytest.mark.parametrize("server", ["dns.example.az", "127.0.0.1:many", "[::1", "::1:x:y"])
def test_a_dns_server_has_to_be_an_address(server: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"\[sip\] dns_servers"):
        Resolver(servers=(server,))


@pytest.mark.parametrize(("server", "port"), [("127.0.0.1", 53), ("[::1]:5353", 5353), ("::1", 53), ("[::1]", 53)])
def test_a_dns_server_may_have_a_port(server: str, port: int) -> None:
    (found,) = Resolver(servers=(server,))._servers

    assert (found.answer_port(), found.address) == (port, "::1" if "::" in server else "127.0.0.1")
