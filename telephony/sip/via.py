"""The Via header (RFC 3261 section 20.42, RFC 3581)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from telephony.errors import SipParseError
from telephony.sip.grammar import (
    HOST_PATTERN,
    Parameters,
    find_parameter,
    format_parameters,
    parse_number,
    parse_parameters,
)

BRANCH_COOKIE = "z9hG4bK"
"""Marks a branch that is unique for its transaction (section 8.1.1.7)."""

_VIA = re.compile(
    rf"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+({HOST_PATTERN})"
    r"(?:[ \t]*:[ \t]*([0-9]+))?[ \t]*(;.*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Via:
    """One hop that a request took."""

    transport: str  # upper case
    host: str
    port: int | None = None
    parameters: Parameters = ()

    @property
    def branch(self) -> str:
        """The transaction's name; "" from an RFC 2543 peer that gave none."""
        return find_parameter(self.parameters, "branch") or ""

    @property
    def wants_rport(self) -> bool:
        """Whether the sender wants answers at the port it sent from (RFC 3581)."""
        return find_parameter(self.parameters, "rport") is not None

    def received_from(self, host: str, port: int) -> Via:
        """Note where the request really came from (RFC 3261 section 18.2.1, RFC 3581 section 4)."""
        kept = tuple(parameter for parameter in self.parameters if parameter[0] not in ("received", "rport"))
        if self.wants_rport:
            return replace(self, parameters=(*kept, ("received", host), ("rport", str(port))))
        if host != self.host.strip("[]"):
            kept = (*kept, ("received", host))
        return replace(self, parameters=kept)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{format_parameters(self.parameters)}"


def parse_via(text: str) -> Via:
    """Read one Via value; raises `SipParseError`."""
    match = _VIA.fullmatch(text.strip(" \t"))
    if match is None:
        raise SipParseError("a Via is malformed")
    transport, host, port, parameters = match.groups()
    number = None if port is None else parse_number(port, name="Via port", maximum=65_535)
    return Via(transport.upper(), host.lower(), number, parse_parameters(parameters or ""))
