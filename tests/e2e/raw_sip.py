"""A SIP caller that does exactly what it is told, wrong things too: one call over UDP, message by message."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket

from tests.waiting import HUNG_S

GOOD_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 39998 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


class RawCall:
    """Its requests carry one Call-ID; what the service sends is kept in order."""

    def __init__(self, uri: str) -> None:
        host, port = uri.split("@")[1].split(":")
        self._service = (host, int(port))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.call_id = secrets.token_hex(8)
        self.branch = f"z9hG4bK{secrets.token_hex(8)}"
        self._to_tag = ""

    def close(self) -> None:
        self._socket.close()

    def send(self, method: str, *, cseq: int = 1, sdp: str = "", new_transaction: bool = False) -> None:
        """Send a request of this call. `new_transaction` for ACK of a 200, and BYE."""
        branch = f"z9hG4bK{secrets.token_hex(8)}" if new_transaction else self.branch
        lines = [
            f"{method} sip:bot@{self._service[0]}:{self._service[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:odd@127.0.0.1>;tag={self.call_id[:6]}",
            f"To: <sip:bot@{self._service[0]}>{self._to_tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:odd@127.0.0.1:{self.port}>",
            *(["Content-Type: application/sdp"] if sdp else []),
            f"Content-Length: {len(sdp.encode())}",
        ]
        self._socket.sendto(("\r\n".join(lines) + "\r\n\r\n" + sdp).encode(), self._service)

    async def receive(self, *, seconds: float = HUNG_S) -> str:
        """Take the next message of the service; notes the tag that makes a dialog."""
        async with asyncio.timeout(seconds):
            message = (await asyncio.get_running_loop().sock_recv(self._socket, 65_535)).decode()
        if (tag := re.search(r"(?im)^To:.*;tag=([^\s;]+)", message)) and message.startswith("SIP/2.0"):
            self._to_tag = f";tag={tag[1]}"
        return message

    async def final(self, method: str, *, seconds: float = HUNG_S) -> int:
        """Status of the final response to a method."""
        while True:
            message = await self.receive(seconds=seconds)
            status = re.match(r"SIP/2.0 (\d{3})", message)
            if status and int(status[1]) >= 200 and re.search(rf"(?im)^CSeq: \d+ {method}", message):
                return int(status[1])

    def answer_ok(self, request: str) -> None:
        """200 to a request of the service."""
        kept = [line for line in request.split("\r\n") if re.match(r"(?i)(via|from|to|call-id|cseq):", line)]
        self._socket.sendto("\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""]).encode(), self._service)
