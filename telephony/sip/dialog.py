"""Dialogs (RFC 3261 section 12): who talks to whom, in which order, by which route."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

from telephony.errors import SipParseError
from telephony.sip.address import NameAddr
from telephony.sip.flow import DEFAULT_PORT, Flow
from telephony.sip.headers import Headers
from telephony.sip.message import Message, Request, Response, addresses
from telephony.sip.uri import SipUri, Uri, transport_of, unbracketed
from telephony.sip.via import BRANCH_COOKIE, Via


@dataclass(frozen=True, slots=True)
class DialogId:
    """Names a dialog, seen from our side (section 12)."""

    call_id: str
    local_tag: str
    remote_tag: str


class Dialog:
    """One dialog. Requests of ours are built here, so CSeq and route are right."""

    def __init__(
        self,
        dialog_id: DialogId,
        *,
        local: NameAddr,
        remote: NameAddr,
        target: SipUri,
        routes: tuple[NameAddr, ...],
        flow: Flow,
    ) -> None:
        self.id = dialog_id
        self._local = local
        self._remote = remote
        self._target = target
        self._routes = routes
        self._flow = flow  # what the peer was last heard on
        self._stay_on_flow = flow.reliable
        self._local_cseq = 0
        self._remote_cseq: int | None = None

    @staticmethod
    def of_caller(invite: Request, *, local_tag: str, flow: Flow) -> Dialog:
        """Make our side of the dialog that an INVITE to us begins (section 12.1.1); raises `SipParseError`."""
        dialog = Dialog(
            DialogId(invite.call_id, local_tag, invite.from_.tag),
            local=invite.to.with_tag(local_tag),
            remote=invite.from_,
            target=_caller_target(invite),
            routes=addresses(invite, "Record-Route"),
            flow=flow,
        )
        dialog._remote_cseq = invite.cseq.number
        dialog._stay_on_flow = flow.reliable or _is_translated(invite.via, flow)
        return dialog

    @staticmethod
    def of_callee(invite: Request, response: Response, *, flow: Flow) -> Dialog:
        """Make our side of the dialog that a 2xx to our INVITE begins (section 12.1.2); raises `SipParseError`."""
        dialog = Dialog(
            DialogId(invite.call_id, invite.from_.tag, response.to.tag),
            local=invite.from_,
            remote=response.to,
            target=_needed_contact(response),
            routes=tuple(reversed(addresses(response, "Record-Route"))),
            flow=flow,
        )
        dialog._local_cseq = invite.cseq.number
        return dialog

    def confirm(self, response: Response, *, flow: Flow) -> None:
        """Take the 2xx that makes an early dialog a confirmed one: its route set counts (section 13.2.2.4)."""
        self._routes = tuple(reversed(addresses(response, "Record-Route")))
        self._remote = response.to
        self.refresh_target(contact_of(response))
        self.heard_on(flow)

    @property
    def target(self) -> SipUri:
        """Where the peer says that it is."""
        return self._target

    def take_cseq(self, request: Request) -> bool:
        """Whether a request of the peer is newer than all before it (section 12.2.2)."""
        number = request.cseq.number
        if self._remote_cseq is not None and number <= self._remote_cseq:
            return False
        self._remote_cseq = number
        return True

    def heard_on(self, flow: Flow) -> None:
        """Note where the peer's latest request came from: connections are replaced, NAT bindings move."""
        self._flow = flow

    def refresh_target(self, target: SipUri | None) -> None:
        """Take the new Contact of a re-INVITE or of its 2xx (section 12.2), if it has one."""
        self._target = target or self._target

    def flow_lost(self, flow: Flow) -> None:
        """Note that a connection is gone: the next request goes where the route says."""
        if self._flow == flow:
            self._flow = replace(flow, connection=0)
            self._stay_on_flow = False

    def next_flow(self) -> Flow:
        """Find where our next request goes (section 8.1.2).

        A peer on TCP, and one behind a NAT, is reached only by the way it came; so is a next hop that is a name,
        because names are resolved by whoever places a call, and a proxy's INVITE came from itself; and so is one of the
        other family of addresses, to which our sockets do not reach.
        """
        hop: Uri = self._routes[0].uri if self._routes else self._target
        if self._stay_on_flow or not isinstance(hop, SipUri):
            return self._flow
        try:
            address = ipaddress.ip_address(unbracketed(hop.host))
        except ValueError:
            return self._flow
        if (address.version == 6) != (":" in self._flow.host):
            return self._flow
        host, transport = str(address), transport_of(hop, self._flow.transport)
        # A certificate was checked against the name that was dialled, not against the address it led to.
        name = self._flow.server_name if transport == self._flow.transport else ""
        return Flow(transport, host, hop.port or DEFAULT_PORT[transport], server_name=name)

    def request(self, method: str, *, via: Via, extra: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> Request:
        """Build the next request of ours."""
        self._local_cseq += 1
        return self._build(method, self._local_cseq, via, extra, body)

    def ack(self, invite: Request, *, via: Via, extra: tuple[tuple[str, str], ...] = ()) -> Request:
        """Build the ACK for a 2xx to our INVITE (section 13.2.2.4)."""
        return self._build("ACK", invite.cseq.number, via, extra, b"")

    def _build(self, method: str, number: int, via: Via, extra: tuple[tuple[str, str], ...], body: bytes) -> Request:
        uri, routes = self._route()
        headers = (
            ("Via", str(via)),
            *(("Route", str(route)) for route in routes),
            ("Max-Forwards", "70"),
            ("From", str(self._local)),
            ("To", str(self._remote)),
            ("Call-ID", self.id.call_id),
            ("CSeq", f"{number} {method}"),
            *extra,
        )
        return Request(method, uri, Headers(headers), body)

    def _route(self) -> tuple[Uri, tuple[NameAddr, ...]]:
        """Section 12.2.1.1: a first hop without `lr` is a strict router, and gets itself as the Request-URI."""
        if not self._routes:
            return self._target, ()
        first = self._routes[0].uri
        if isinstance(first, SipUri) and first.parameter("lr") is None:
            strict = replace(first, headers="")
            return strict, (*self._routes[1:], NameAddr(self._target))
        return self._target, self._routes


def contact_of(message: Message) -> SipUri | None:
    """Read the one Contact of a message; None where there is none. Raises `SipParseError`."""
    match addresses(message, "Contact"):
        case ():
            return None
        case (NameAddr(uri=SipUri() as uri),):
            return uri
        case _:
            raise SipParseError("Contact needs to be one sip: URI")


def _caller_target(invite: Request) -> SipUri:
    """Read Contact; a caller of RFC 2543, which shows by its branch, may leave it out and mean From."""
    caller = invite.from_.uri
    old = not invite.via.branch.startswith(BRANCH_COOKIE)
    if old and isinstance(caller, SipUri) and contact_of(invite) is None:
        return caller
    return _needed_contact(invite)


def _needed_contact(message: Message) -> SipUri:
    contact = contact_of(message)
    if contact is None:
        raise SipParseError("Contact is missing")
    return contact


def _is_translated(via: Via, flow: Flow) -> bool:
    """Whether the sender does not know its own address: what it wrote in Via is not where it sent from."""
    try:
        moved = ipaddress.ip_address(unbracketed(via.host)) != ipaddress.ip_address(flow.host)
    except ValueError:
        moved = True
    return moved or (via.wants_rport and (via.port or DEFAULT_PORT[flow.transport]) != flow.port)
