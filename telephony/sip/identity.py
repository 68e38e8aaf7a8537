"""`Identity`: how this user agent names itself in Via, Contact and From."""

from __future__ import annotations

from dataclasses import dataclass

from telephony.sip.address import NameAddr
from telephony.sip.flow import Flow
from telephony.sip.uri import SipUri, bracketed
from telephony.sip.via import Via


@dataclass(frozen=True, slots=True)
class Identity:
    """An address that peers can reach, and names."""

    host: str  # numeric address, or a name that resolves to it
    port: int
    user: str = "bot"
    product: str = "Zeng"  # User-Agent and Server

    def uri(self, flow: Flow | None = None) -> SipUri:
        """Our own URI; with a flow, one that leads back over the same transport."""
        parameters = (("transport", "tcp"),) if flow is not None and flow.reliable else ()
        return SipUri(bracketed(self.host), self.user, self.port, parameters=parameters)

    def contact(self, flow: Flow) -> tuple[str, str]:
        """Write the Contact header for requests that shall come over this transport."""
        return ("Contact", str(NameAddr(self.uri(flow))))

    def via(self, flow: Flow, *, branch: str) -> Via:
        """Write the Via of a request of ours; answers come to the port it leaves from (RFC 3581)."""
        return Via(flow.transport.upper(), bracketed(self.host), self.port, (("rport", None), ("branch", branch)))
