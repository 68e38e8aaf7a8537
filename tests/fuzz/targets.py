"""What is fuzzed, and the inputs that mutation starts from. A target takes one input and must not raise.

Each keeps its state over all inputs, as a server does, and says at the end what it still holds.
"""

from __future__ import annotations

import contextlib
import itertools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from telephony.errors import LegEndedError, RtpParseError, SdpError, SipParseError
from telephony.leg import EndCause
from telephony.rtp.receiver import AudioArrived
from telephony.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    build_rtcp,
    parse_rtcp,
)
from telephony.sip.call_id_table import CallIdTable
from telephony.sip.call_routing import route
from telephony.sip.events import CallOffered, ReferAsked
from telephony.sip.identity import Identity
from telephony.sip.message import parse_message
from telephony.sip.negotiation import Negotiation
from telephony.sip.offer_answer import LocalAudio, read_audio
from telephony.sip.sdp import parse_sdp
from telephony.sip.source_gate import GateLimits, SourceGate
from telephony.sip.stream import StreamFramer
from telephony.sip.user_agent import UserAgent, UserAgentConfig
from tests.unit.telephony.rtp.test_depacketizer import depacketizer
from tests.unit.telephony.rtp.test_session import RIGHT, parameters, session
from tests.unit.telephony.sip.messages import OFFER, PEER, PEER_TCP, request, request_bytes, response_bytes

_DATA = Path(__file__).parents[1] / "data"
_LOCAL = LocalAudio("192.0.2.9", 20_000)
_STEP_S = 0.01


class Target(Protocol):
    """Takes inputs."""

    seeds: list[bytes]

    def take(self, data: bytes) -> None:
        """Take one; whatever it raises is a finding."""
        ...

    def held(self) -> dict[str, int]:
        """Let time pass until all is over; count what is left in tables."""
        ...


class SipTarget:
    """Gate, framing, routing and a user agent whose user answers every other call."""

    def __init__(self) -> None:
        tokens = itertools.count(1)
        self.seeds = sip_seeds()
        self._gate = SourceGate(GateLimits(("192.0.2.0/24",), burst=10**9))
        self._table = CallIdTable()
        self._agent = UserAgent(
            UserAgentConfig(Identity("192.0.2.9", 5060), accepts_replaces=True, heeds_refer="listed"),
            new_token=lambda: f"{next(tokens):08x}{0:024x}",
        )
        self._now = 0.0
        self._offered = 0

    def take(self, data: bytes) -> None:
        self._now += _STEP_S
        self._gate.receive(data, PEER, now=self._now)
        framer = StreamFramer()
        framer.feed(data)
        while framer.poll() is not None:
            pass
        with contextlib.suppress(SipParseError):
            route(parse_message(data), self._table, lambda: 0, now=self._now)
        self._agent.receive(data, PEER_TCP if len(data) % 5 == 0 else PEER, now=self._now)
        self._drain()
        if (at := self._agent.timer_at()) is not None and at <= self._now:
            self._agent.handle_timer(now=self._now)
            self._drain()

    def _drain(self) -> None:
        while (output := self._agent.poll()) is not None:
            if isinstance(output, CallOffered):
                self._offered += 1
                self._decide(output.handle)
            elif isinstance(output, ReferAsked):
                self._agent.refer(output.handle, (PEER,), now=self._now)

    def _decide(self, handle: str) -> None:
        try:
            if self._offered % 2:
                self._agent.answer(handle, _LOCAL, now=self._now)
            else:
                self._agent.reject(handle, 486, now=self._now)
        except LegEndedError:
            pass

    def held(self) -> dict[str, int]:
        while self._agent.call_count:
            for handle in list(self._agent._calls._calls):
                self._agent.hang_up(handle, EndCause.BOT_HUNG_UP, now=self._now)
            self._pass_time()
        self._pass_time()
        return {"calls": self._agent.call_count, "transactions": self._agent.transaction_count, **self._tables()}

    def _pass_time(self) -> None:
        until = self._now + 200.0
        while (at := self._agent.timer_at()) is not None and at <= until:
            self._now = max(self._now, at)
            self._agent.handle_timer(now=self._now)
            self._drain()
        self._now = until

    def _tables(self) -> dict[str, int]:
        self._table.expire(now=self._now)
        return {
            "dialogs": len(self._agent._calls._dialogs),
            "invites": len(self._agent._calls._invites),
            "routes": len(self._table),
            "merges": len(self._agent._transactions._merges),
        }


class SdpTarget:
    """Parsing, choosing a stream, answering, and reading what was written."""

    def __init__(self) -> None:
        self.seeds = sdp_seeds()

    def take(self, data: bytes) -> None:
        with contextlib.suppress(SdpError):
            read_audio(parse_sdp(data), address_type="IP4")
            body, _ = Negotiation(_LOCAL, session_id=1).answer(data)
            assert parse_sdp(body).media

    def held(self) -> dict[str, int]:
        return {}


class RtpTarget:
    """A session and its playout buffer, from the source that it is locked to and from another one."""

    def __init__(self) -> None:
        self.seeds = rtp_seeds()
        self._session = session(applied=parameters())
        self._buffer = depacketizer()
        self._now = 0.0
        self._count = 0

    def take(self, data: bytes) -> None:
        self._count += 1
        self._now += 0.005
        source = RIGHT if self._count % 4 else ("198.51.100.7", 31_000)
        self._session.receive_rtp(data, source, now=self._now)
        self._session.handle_timer(now=self._now)
        while (event := self._session.poll()) is not None:
            if isinstance(event, AudioArrived):
                self._buffer.insert(event.packet, now=event.arrived)
        if self._count % 4 == 0:
            self._buffer.pull(now=self._now, quiet=False, media_time_ms=self._count * 5)

    def held(self) -> dict[str, int]:
        playout = self._buffer._playout
        sizes = [len(value) for value in vars(playout).values() if isinstance(value, dict | list | set)]
        return {"playout": max(0, max(sizes, default=0) - 200)}


class RtcpTarget:
    """Compound packets, parsed alone and by a session that has sent something."""

    def __init__(self) -> None:
        self.seeds = rtcp_seeds()
        self._session = session(applied=parameters())
        self._now = 0.0

    def take(self, data: bytes) -> None:
        self._now += 0.005
        with contextlib.suppress(RtpParseError):
            parse_rtcp(data)
        self._session.receive_rtcp(data, (RIGHT[0], RIGHT[1] + 1), now=self._now)
        self._session.send_report(now=self._now)

    def held(self) -> dict[str, int]:
        return {}


TARGETS: dict[str, tuple[Callable[[], Target], int]] = {
    # with its share of the inputs in per cent
    "sip": (SipTarget, 40),
    "sdp": (SdpTarget, 20),
    "rtp": (RtpTarget, 20),
    "rtcp": (RtcpTarget, 20),
}


def sip_seeds() -> list[bytes]:
    torture = [path.read_bytes() for name in ("rfc4475", "rfc5118") for path in sorted((_DATA / name).glob("*.dat"))]
    invite = request()
    ours = [
        request_bytes(body=OFFER),
        request_bytes(body=OFFER, extra="Expires: 5\r\nRecord-Route: <sip:p;lr>, <sip:q>\r\n"),
        request_bytes(extra='P-Asserted-Identity: "A" <sip:+994@a>\r\nDiversion: <sip:b@c>;reason=x\r\n'),
        request_bytes(to_tag="00000002", cseq=2, branch="z9hG4bKtwo", body=OFFER),
        *(
            request_bytes(method, to_tag="x", cseq=3, branch=f"z9hG4bK{method}")
            for method in ("ACK", "BYE", "INFO", "UPDATE")
        ),
        request_bytes("CANCEL"),
        request_bytes("OPTIONS", branch="z9hG4bKoptions"),
        request_bytes("REFER", extra="Refer-To: <sip:a@b?Replaces=c%3Bto-tag%3Dd>\r\n"),
        request_bytes(extra='Authorization: Digest username="a", realm="r", nonce="n", uri="sip:a", response="0"\r\n'),
        response_bytes(invite, 180),
        response_bytes(invite, 200, body=OFFER),
        response_bytes(invite, 401, extra='WWW-Authenticate: Digest realm="r", nonce="n"\r\n'),
        request_bytes(
            extra='Content-Type: multipart/mixed;boundary="b"\r\n',
            body=b"--b\r\nContent-Type: application/sdp\r\n\r\n" + OFFER + b"\r\n--b--\r\n",
        ),
    ]
    return [*ours, *torture, *ours]


def sdp_seeds() -> list[bytes]:
    more = (
        b"v=0\r\no=a 1 2 IN IP4 192.0.2.1\r\ns=x\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
        b"m=audio 4000 RTP/SAVP 0 8 9 96 97 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:96 opus/48000/2\r\n"
        b"a=fmtp:96 useinbandfec=1;maxplaybackrate=8000\r\na=rtpmap:97 iLBC/8000\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\n"
        b"a=fmtp:101 0-15\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n"
        b"a=maxptime:40\r\na=rtcp:4001\r\na=sendonly\r\nm=video 4002 RTP/AVP 31\r\nm=image 4004 udptl t38\r\n"
    )
    bodies = [message.partition(b"\r\n\r\n")[2] for message in sip_seeds()]
    return [OFFER, more, OFFER, more, *(body for body in bodies if body.startswith(b"v=0"))]


def rtp_seeds() -> list[bytes]:
    def packet(payload_type: int, number: int, payload: bytes, *, flags: int = 0x80, extra: bytes = b"") -> bytes:
        return struct.pack("!BBHII", flags, payload_type, number & 0xFFFF, number * 160, 7) + extra + payload

    audio = [packet(8, number, b"\xd5" * 160) for number in range(30)]
    events = [
        packet(101, number, struct.pack("!BBH", 5, 0x0A | (0x80 if number > 33 else 0), 160 * number))
        for number in range(30, 36)
    ]
    return [
        *audio,
        *events,
        packet(13, 40, b"\x40"),
        packet(8, 41, b"\xd5" * 80, flags=0x90, extra=b"\xbe\xde\x00\x01\x10\xff\x00\x00"),
        packet(8, 42, b"\xd5" * 160, flags=0x82, extra=bytes(8)),
        packet(8, 43, b"\xd5" * 156 + b"\x00\x00\x00\x04", flags=0xA0),
        packet(8, 44, b""),
        packet(8, 45, b"\xd5" * 1488),
        b"",
        *rtcp_seeds(),
    ]


def rtcp_seeds() -> list[bytes]:
    block = ReportBlock(1, 12, -3, 70_000, 40, 0x1234_5678, 65_536)
    return [
        build_rtcp([SenderReport(7, 1 << 63, 160, 10, 1600, (block,)), SourceDescription(7, "peer")]),
        build_rtcp([ReceiverReport(7, (block,) * 31), SourceDescription(7, "x" * 250)]),
        build_rtcp([ReceiverReport(7), Goodbye((7, 8))]),
        build_rtcp([ReceiverReport(7)]) + struct.pack("!BBHI", 0x80, 207, 2, 7) + b"\x04\x00\x00\x00",
        build_rtcp([ReceiverReport(7)]) + struct.pack("!BBHI", 0xA0, 203, 2, 7) + b"\x00\x00\x00\x04",
    ]
