"""REGISTER and OPTIONS towards a trunk, and what a registrar's 200 says (RFC 3261 sections 10.2, 11.1, RFC 5626)."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass

from telephony.errors import SipParseError
from telephony.sip.address import NameAddr, parse_name_addr
from telephony.sip.flow import DEFAULT_PORT, Flow
from telephony.sip.grammar import find_parameter, parse_number, split_list, unquote
from telephony.sip.headers import Headers
from telephony.sip.identity import Identity
from telephony.sip.inspection import ACCEPT, ALLOW
from telephony.sip.message import Request, Response, addresses, header_number
from telephony.sip.uri import SipUri, bracketed, transport_of

_MAX_DELTA_S = 2**32 - 1


@dataclass(frozen=True, slots=True)
class TrunkRequest:
    """What REGISTER and OPTIONS towards a trunk have in common."""

    identity: Identity  # its user is that of our address of record
    flow: Flow
    domain: str
    call_id: str
    cseq: int
    tag: str
    branch: str

    def head(self, method: str, *, to_user: bool) -> tuple[tuple[str, str], ...]:
        """Write the headers that every request has; REGISTER is addressed to ourselves, OPTIONS to the domain."""
        host = bracketed(self.domain)
        ours = NameAddr(SipUri(host, self.identity.user))
        return (
            ("Via", str(self.identity.via(self.flow, branch=self.branch))),
            ("Max-Forwards", "70"),
            ("From", str(ours.with_tag(self.tag))),
            ("To", str(ours if to_user else NameAddr(SipUri(host)))),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq} {method}"),
            ("User-Agent", self.identity.product),
        )


def build_register(
    asked: TrunkRequest, *, expires_s: int, outbound: bool, extra: tuple[tuple[str, str], ...] = ()
) -> Request:
    """Ask for a binding of our address of record to us; `expires_s` 0 takes it back."""
    parameters = _outbound_parameters(asked.identity, asked.domain) if outbound else ()
    contact = NameAddr(asked.identity.uri(asked.flow), parameters=parameters)
    headers = (
        *asked.head("REGISTER", to_user=True),
        ("Contact", str(contact)),
        ("Expires", str(expires_s)),
        ALLOW,
        ("Supported", "path, outbound" if outbound else "path"),
        *extra,
    )
    return Request("REGISTER", SipUri(bracketed(asked.domain)), Headers(headers))


def build_options(asked: TrunkRequest) -> Request:
    """Ask whether somebody is there."""
    headers = (*asked.head("OPTIONS", to_user=False), ACCEPT)
    return Request("OPTIONS", SipUri(bracketed(asked.domain)), Headers(headers))


def _outbound_parameters(identity: Identity, domain: str) -> tuple[tuple[str, str], ...]:
    """RFC 5626 section 4.1: an instance that stays the same over restarts, and which of its flows this is."""
    instance = uuid.uuid5(uuid.NAMESPACE_DNS, f"{identity.user}@{domain} {identity.host}:{identity.port}")
    return (("reg-id", "1"), ("+sip.instance", f'"<urn:uuid:{instance}>"'))


def binding_expiry(response: Response, register: Request, *, default_s: int) -> int:
    """Read how long our binding lasts (section 10.2.4); raises `SipParseError`.

    A registrar lists everybody's bindings; ours is the one whose address is that of our Contact.
    """
    (ours,) = addresses(register, "Contact")
    expires_s = header_number(response, "Expires", maximum=_MAX_DELTA_S)
    bindings = _bindings(response)
    # Where it names one only that is ours, however it is written: behind a NAT some write the address that they see.
    for binding in bindings if len(bindings) == 1 else [each for each in bindings if _same_place(each.uri, ours.uri)]:
        written = unquote(find_parameter(binding.parameters, "expires") or "")
        expires_s = parse_number(written, name="expires", maximum=_MAX_DELTA_S) if written else expires_s
    if expires_s == 0:
        raise SipParseError("the registrar accepted and does not keep our binding")
    return default_s if expires_s is None else expires_s


def _bindings(response: Response) -> list[NameAddr]:
    """Read the bindings that can be read: what others have registered is not for us to judge."""
    found: list[NameAddr] = []
    for line in response.headers.all("Contact"):
        with contextlib.suppress(SipParseError):
            for value in split_list(line):
                with contextlib.suppress(SipParseError):
                    found.append(parse_name_addr(value))
    return found


def _same_place(one: object, other: object) -> bool:
    """Compare user, host and port; some registrars add parameters to a Contact, or leave its transport or port out."""
    match one, other:
        case SipUri(), SipUri():
            port = one.port or DEFAULT_PORT[transport_of(other)]
            return (one.userinfo, one.host, port) == (other.userinfo, other.host, other.port)
        case _:
            return False
