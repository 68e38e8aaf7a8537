"""`Identity`: how this user agent names itself in Via, Contact and From."""

from __future__ import annotations

from dataclasses import dataclass

from telephony.sip.address import NameAddr
from telephony.sip.flow import DEFAULT_PORT, Flow
from telephony.sip.uri import SipUri, bracketed
from telephony.sip.via import Via


@dataclass(frozen=True, slots=True)
class Identity:
    """An address that peers can reach, and names."""

    host: str  # numeric address, or a name that resolves to it
    port: int
    user: str = "bot"
    product: str = "Zeng"  # User-Agent and Server
    tls_port: int = 0  # where TLS is heard; 0: nowhere, so a peer on TLS is met on its own connection

    def _port(self, flow: Flow) -> int:
        return self.tls_port or DEFAULT_PORT["tls"] if flow.transport == "tls" else self.port

    def uri(self, flow: Flow | None = None, *, secure: bool = False) -> SipUri:
        """Our own URI; with a flow, one that leads back over the same transport.

        `secure`: the other side named us by a sips: URI, so it gets one back (RFC 3261 section 12.1.1, RFC 5630).
        """
        host = bracketed(self.host)
        if flow is None:
            return SipUri(host, self.user, self.port)
        if secure:
            return SipUri(host, self.user, self._port(flow), "sips")
        parameters = (("transport", flow.transport),) if flow.reliable else ()
        return SipUri(host, self.user, self._port(flow), parameters=parameters)

    def contact(self, flow: Flow, *, secure: bool = False) -> tuple[str, str]:
        """Write the Contact header for requests that shall come over this transport."""
        return ("Contact", str(NameAddr(self.uri(flow, secure=secure))))

    def via(self, flow: Flow, *, branch: str) -> Via:
        """Write the Via of a request of ours; answers come to the port it leaves from (RFC 3581).

        Over TLS the peer may use the connection for requests of its own (RFC 5923 section 5).
        """
        alias = (("alias", None),) if flow.transport == "tls" else ()
        parameters = (("rport", None), *alias, ("branch", branch))
        return Via(flow.transport.upper(), bracketed(self.host), self._port(flow), parameters)
