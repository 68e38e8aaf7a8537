"""Where a SIP URI leads (RFC 3263 section 4, without NAPTR and SRV: those of a trunk are written as its servers)."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from telephony.sip.flow import DEFAULT_PORT, Flow
from telephony.sip.sdp import AddressType
from telephony.sip.uri import SipUri, transport_of, unbracketed


async def addresses_of(uri: SipUri, *, family: AddressType) -> tuple[Flow, ...]:
    """Find every address of a URI's host, in the order to try them; raises `OSError` when there is none."""
    transport = transport_of(uri)
    host, port = unbracketed(uri.host), uri.port or DEFAULT_PORT[transport]
    try:
        return (Flow(transport, str(ipaddress.ip_address(host)), port),)
    except ValueError:
        pass
    wanted = socket.AF_INET6 if family == "IP6" else socket.AF_INET
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, family=wanted, type=socket.SOCK_DGRAM)
    name = host if transport == "tls" else ""
    return tuple(dict.fromkeys(Flow(transport, str(address[0]), port, server_name=name) for *_, address in found))
