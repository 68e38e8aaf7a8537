"""How a request is looked over before anything is done with it (RFC 3261 section 8.2)."""

from __future__ import annotations

from dataclasses import dataclass

from telephony.errors import SdpError, SipParseError
from telephony.media import MediaAbilities
from telephony.sip.body import SDP, session_description
from telephony.sip.dtmf import DTMF, DTMF_RELAY
from telephony.sip.flow import Transport
from telephony.sip.message import Request, header_number
from telephony.sip.offer_answer import ANYTHING, read_audio
from telephony.sip.sdp import AddressType, parse_sdp

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "PRACK", "UPDATE", "NOTIFY")
ALLOW = ("Allow", ", ".join(METHODS))
ALLOW_REFER = ("Allow", ", ".join((*METHODS, "REFER")))
ACCEPT = ("Accept", f"{SDP}, {DTMF_RELAY}, {DTMF}")
_KNOWN_METHODS = frozenset((*METHODS, "REGISTER", "SUBSCRIBE", "REFER", "MESSAGE", "PUBLISH"))
SUPPORTED = frozenset({"100rel", "timer"})
"""Option tags that `Require` may name."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A final response that is due before the request is acted on."""

    status: int
    extra: tuple[tuple[str, str], ...] = ()


def inspect_head(request: Request, *, transport: Transport = "udp") -> Refusal | None:
    """Look at what comes before authentication: method, Request-URI, hops."""
    if request.method not in (*METHODS, "REFER"):  # which is understood, so that it can be declined
        # Section 8.2.1 has 405 for what is known and not allowed, section 21.5.2 has 501 for what is not known.
        return Refusal(405 if request.method in _KNOWN_METHODS else 501, (ALLOW,))
    # RFC 5630 section 3.1.3: what is asked for by sips: comes over TLS on every hop.
    if request.uri.scheme not in (("sip", "sips", "tel") if transport == "tls" else ("sip", "tel")):
        return Refusal(416)
    # Section 16.3 asks this of proxies only; a bot that calls out can be part of a loop as well (RFC 7332).
    # OPTIONS is answered, since a trace of the route ends here (section 11).
    if not request.to.tag and request.method != "OPTIONS" and header_number(request, "Max-Forwards", maximum=255) == 0:
        return Refusal(483)
    return None


def inspect_extensions(request: Request) -> Refusal | None:
    """Look for extensions that the caller requires and we have not (section 8.2.2.3)."""
    unknown = [tag for tag in request.headers.listed("Require") if tag.lower() not in SUPPORTED]
    if unknown and request.method not in ("ACK", "CANCEL"):
        return Refusal(420, (("Unsupported", ", ".join(unknown)),))
    return None


def inspect_offer(
    invite: Request, *, address_type: AddressType, abilities: MediaAbilities = ANYTHING
) -> Refusal | None:
    """Look at the offer of an INVITE: is it SDP, and does it hold a stream for us? None is an offer too."""
    accepted = {kind.partition(";")[0].strip().lower() for kind in invite.headers.listed("Accept")}
    if accepted and not accepted & {SDP, "application/*", "*/*"}:
        return Refusal(406, (ACCEPT,))  # our answer would be one that the caller does not understand
    try:
        offer = session_description(invite)
        if offer is not None:
            read_audio(parse_sdp(offer), address_type=address_type, abilities=abilities)
    except SipParseError as error:
        return refusal_of(error)
    except SdpError as error:
        return Refusal(error.status, warning(error) if error.status == 488 else ())
    return None


def inspect_early(
    request: Request, *, transport: Transport, address_type: AddressType, abilities: MediaAbilities
) -> Refusal | None:
    """Look for what makes a new call impossible before anybody is bothered with it: an offer that we can not serve.

    What section 8.2 has looked at before that, and what is no new call, is left to whoever takes it.
    """
    if request.method != "INVITE" or request.to.tag:
        return None
    try:
        if inspect_head(request, transport=transport) is not None or inspect_extensions(request) is not None:
            return None
    except SipParseError:
        return None
    return inspect_offer(request, address_type=address_type, abilities=abilities)


def refusal_of(error: SipParseError) -> Refusal:
    """Turn a header or body that could not be read into its response."""
    return Refusal(error.status, (ACCEPT, ("Accept-Encoding", "identity")) if error.status == 415 else ())


def warning(error: SdpError) -> tuple[tuple[str, str], ...]:
    """Say why media was refused (section 20.43); 399 carries free text."""
    text = str(error).replace("\\", "/").replace('"', "'")
    return (("Warning", f'399 zeng "{text}"'),)
