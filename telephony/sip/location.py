"""Where a SIP URI leads (RFC 3263 section 4): what to ask of DNS, and what its answers mean.

`locate` is a generator: it yields questions that may be asked together, is sent their answers, and returns the servers
in the order to try them. Whoever drives it asks, waits and caches.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple, TypeAlias

from telephony.sip.flow import DEFAULT_PORT, Flow, Transport
from telephony.sip.sdp import AddressType
from telephony.sip.srv_order import SrvRecord, in_order
from telephony.sip.uri import SipUri, transport_of, unbracketed

MAX_SERVERS = 16
"""How many one URI may lead to; the rest of a longer answer is not looked at."""

_MAX_RECORDS = 64
_SERVICES: dict[str, tuple[Transport, str]] = {
    "SIP+D2U": ("udp", "_sip._udp."),
    "SIP+D2T": ("tcp", "_sip._tcp."),
    "SIPS+D2T": ("tls", "_sips._tcp."),
}
_PREFIX: dict[Transport, str] = dict(_SERVICES.values())


@dataclass(frozen=True, slots=True)
class Question:
    """One look-up."""

    name: str
    kind: Literal["NAPTR", "SRV", "A", "AAAA"]


@dataclass(frozen=True, slots=True)
class NaptrRecord:
    """A service of a domain, and where its servers are listed (RFC 3403)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


Record: TypeAlias = NaptrRecord | SrvRecord | str
"""What a question of its kind is answered with; a str is a numeric address."""

Locating: TypeAlias = Generator[Sequence[Question], Sequence[Sequence[Record]], tuple[Flow, ...]]


class _Hop(NamedTuple):
    transport: Transport
    name: str
    port: int = 0  # of an SRV record that is still to be asked for: none yet


_Listing: TypeAlias = Generator[Sequence[Question], Sequence[Sequence[Record]], list[_Hop]]


def locate(uri: SipUri, *, family: AddressType, services: bool = True, fraction: Callable[[], float]) -> Locating:
    """Find the servers of a URI; none where DNS knows none. Without `services` only addresses are asked for."""
    host, transport = unbracketed(uri.host), transport_of(uri)
    port = uri.port or DEFAULT_PORT[transport]
    try:
        return (Flow(transport, str(ipaddress.ip_address(host)), port),)
    except ValueError:
        pass
    hops = [_Hop(transport, host, port)]
    # A port is a choice already (section 4.2), and a name without a dot is one of this network.
    if services and uri.port is None and "." in host:
        listed = yield from _services(uri, host)
        answers = yield tuple(Question(srv.name, "SRV") for srv in listed)
        found = [
            _Hop(srv.transport, record.target, record.port)
            for srv, records in zip(listed, answers, strict=True)
            for record in _srv(records, fraction)
        ]
        if found:
            # A target that is empty says that the service is decidedly not there (RFC 2782).
            hops = [hop for hop in found if hop.name]
    return (yield from _addresses(hops[:MAX_SERVERS], host, family))


def _services(uri: SipUri, host: str) -> _Listing:
    """Name the SRV records to ask for, by transport (section 4.1)."""
    if uri.scheme == "sip" and uri.parameter("transport") is not None:
        transport = transport_of(uri)
        return [_Hop(transport, f"{_PREFIX[transport]}{host}")]
    (found,) = yield (Question(host, "NAPTR"),)
    secure = uri.scheme == "sips"
    usable = [
        record
        for record in found
        if isinstance(record, NaptrRecord)
        and record.flags.lower() == "s"
        and record.service.upper() in _SERVICES
        and (not secure or record.service.upper() == "SIPS+D2T")
    ]
    if usable:
        usable.sort(key=lambda record: (record.order, record.preference))
        return [_Hop(_SERVICES[record.service.upper()][0], record.replacement) for record in usable[:MAX_SERVERS]]
    transports: tuple[Transport, ...] = ("tls",) if secure else ("udp", "tcp")
    return [_Hop(transport, f"{_PREFIX[transport]}{host}") for transport in transports]


def _srv(records: Iterable[Record], fraction: Callable[[], float]) -> list[SrvRecord]:
    few = islice((record for record in records if isinstance(record, SrvRecord)), _MAX_RECORDS)
    return in_order(few, fraction=fraction)


def _addresses(hops: Sequence[_Hop], domain: str, family: AddressType) -> Locating:
    """Find every address of every hop; a certificate has to name the domain, not the host (RFC 5922 section 7.1)."""
    names = tuple(dict.fromkeys(hop.name for hop in hops))
    answers = yield tuple(Question(name, "AAAA" if family == "IP6" else "A") for name in names)
    of_name = dict(zip(names, answers, strict=True))
    flows = (
        Flow(hop.transport, address, hop.port, server_name=domain if hop.transport == "tls" else "")
        for hop in hops
        for address in of_name[hop.name]
        if isinstance(address, str)
    )
    return tuple(dict.fromkeys(flows))[:MAX_SERVERS]
