"""Messages for the tests of SIP, as a peer at 192.0.2.1 writes them."""

from __future__ import annotations

from telephony.sip.flow import Flow
from telephony.sip.message import Request, Response, parse_message

PEER = Flow("udp", "192.0.2.1", 5060)
PEER_TCP = Flow("tcp", "192.0.2.1", 40_000, 7)
PEER_TLS = Flow("tls", "192.0.2.1", 40_001, 8)
US = Flow("udp", "192.0.2.9", 5060)

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n"
)


def offer(direction: str = "sendrecv", *, version: int = 1, host: str = "192.0.2.1", port: int = 4000) -> bytes:
    text = OFFER.decode().replace("a=sendrecv", f"a={direction}").replace("- 1 1", f"- 1 {version}")
    return text.replace("c=IN IP4 192.0.2.1", f"c=IN IP4 {host}").replace("m=audio 4000", f"m=audio {port}").encode()


def request_bytes(
    method: str = "INVITE",
    *,
    uri: str = "sip:bot@192.0.2.9",
    branch: str = "z9hG4bKone",
    cseq: int = 1,
    to_tag: str = "",
    from_tag: str = "caller",
    call_id: str = "call-1",
    transport: str = "UDP",
    via_params: str = "",
    extra: str = "",
    body: bytes = b"",
    contact: str = "<sip:caller@192.0.2.1:5060>",
) -> bytes:
    head = (
        f"{method} {uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} 192.0.2.1:5060;branch={branch}{via_params}\r\n"
        f"From: <sip:caller@192.0.2.1>;tag={from_tag}\r\n"
        f"To: <sip:bot@192.0.2.9>{f';tag={to_tag}' if to_tag else ''}\r\n"
        f"Call-ID: {call_id}\r\n"
        f"CSeq: {cseq} {method}\r\n"
        "Max-Forwards: 70\r\n"
    )
    if contact:
        head += f"Contact: {contact}\r\n"
    if body:
        head += "Content-Type: application/sdp\r\n" if "Content-Type" not in extra else ""
    return (head + extra + f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def request(method: str = "INVITE", **options: object) -> Request:
    message = parse_message(request_bytes(method, **options))  # type: ignore[arg-type] - passed on as they are
    assert isinstance(message, Request)
    return message


def response_bytes(
    sent: Request,
    status: int,
    *,
    to_tag: str = "callee",
    contact: str = "<sip:callee@192.0.2.1:5060>",
    extra: str = "",
    body: bytes = b"",
) -> bytes:
    to = str(sent.to) if sent.to.tag or not to_tag else f"{sent.to};tag={to_tag}"
    head = (
        f"SIP/2.0 {status} Reason\r\n"
        f"Via: {sent.via}\r\nFrom: {sent.from_}\r\nTo: {to}\r\nCall-ID: {sent.call_id}\r\nCSeq: {sent.cseq}\r\n"
    )
    if contact and 100 < status < 300:
        head += f"Contact: {contact}\r\n"
    if body:
        head += "Content-Type: application/sdp\r\n"
    return (head + extra + f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def response(sent: Request, status: int, **options: object) -> Response:
    message = parse_message(response_bytes(sent, status, **options))  # type: ignore[arg-type] - as above
    assert isinstance(message, Response)
    return message
