"""Whose calls Kamailio passes on, and where to: the shipped configuration between peers that are bare datagrams."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from telephony.sip.auth import Asked, Credentials, answer_challenge
from telephony.sip.message import Request, Response, parse_message
from tests.integration.telephony.kamailio_edge import KamailioEdge, kamailio_edge
from tests.waiting import HUNG_S

_TRUNK = "127.0.0.7"  # named in users.cfg
_CARRIER = "127.0.0.9"  # where calls out go; it is nobody's
_STRANGER = "127.0.0.8"
_QUIET_S = 0.3  # nothing comes: on this machine a datagram takes a millisecond
_SDP = "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


class Peer:
    """Sends what it is told to, keeps what comes, and answers nothing but the edge's probes."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((host, 0))
        self.port: int = self._socket.getsockname()[1]
        self._calls = itertools.count(1)
        self._came: asyncio.Queue[Request | Response] = asyncio.Queue()
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._socket.close()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            data, sender = await loop.sock_recvfrom(self._socket, 65_535)
            message = parse_message(data)
            if isinstance(message, Request) and message.method == "OPTIONS":
                lines = data.decode().split("\r\n")
                kept = [line for line in lines if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
                answer = "\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""])
                await loop.sock_sendto(self._socket, answer.encode(), sender)
            else:
                self._came.put_nowait(message)

    async def invite(self, edge: KamailioEdge, uri: str, *, to_tag: str = "", extra: str = "", within: str = "") -> str:
        """Send one, in a new call or `within` that of a Call-ID; returns its Call-ID."""
        number = next(self._calls)
        call_id, branch = within or f"{self.host}-{number}", f"z9hG4bK{self.port}-{number}"
        body = _SDP.format(host=self.host)
        message = (
            f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {self.host}:{self.port};branch={branch};rport\r\n"
            f"From: <sip:1001@127.0.0.1>;tag=a\r\nTo: <{uri}>{to_tag}\r\n"
            f"Call-ID: {call_id}\r\nCSeq: {number} INVITE\r\n"
            f"Contact: <sip:1001@{self.host}:{self.port}>\r\nMax-Forwards: 20\r\n{extra}"
            f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        await asyncio.get_running_loop().sock_sendto(self._socket, message.encode(), ("127.0.0.1", edge.sip))
        return call_id

    async def invited(self) -> Request:
        """The next INVITE."""
        async with asyncio.timeout(HUNG_S):
            while True:
                message = await self._came.get()
                if isinstance(message, Request) and message.method == "INVITE":
                    return message

    async def answered(self, call_id: str) -> Response:
        """The final response to what was sent last under this Call-ID."""
        async with asyncio.timeout(HUNG_S):
            while True:
                message = await self._came.get()
                if isinstance(message, Response) and message.status >= 200 and message.call_id == call_id:
                    return message

    async def nothing_came(self) -> bool:
        await asyncio.sleep(_QUIET_S)
        return self._came.empty()


@asynccontextmanager
async def peers(*hosts: str) -> AsyncIterator[list[Peer]]:
    made = [Peer(host) for host in hosts]
    try:
        yield made
    finally:
        for peer in made:
            await peer.close()


async def test_a_trunks_call_goes_by_the_edge_to_its_end(tmp_path: Path) -> None:
    async with peers("127.0.0.1", _TRUNK) as (bot, trunk), kamailio_edge(tmp_path, [bot.port]) as edge:
        await edge.until_bots("AP")

        await trunk.invite(edge, f"sip:1001@127.0.0.1:{edge.sip}")
        invite = await bot.invited()

        assert f"<sip:127.0.0.1:{edge.sip};" in str(invite.headers.first("Record-Route"))
        assert b"c=IN IP4 127.0.0.1\r\n" in invite.body  # rtpengine's, not the trunk's own


async def test_a_trunks_calls_are_counted_with_all_others(tmp_path: Path) -> None:
    async with peers("127.0.0.1", _TRUNK) as (bot, trunk), kamailio_edge(tmp_path, [bot.port], calls_per_s=1) as edge:
        await edge.until_bots("AP")

        for _ in range(40):  # Kamailio counts over ten seconds
            call_id = await trunk.invite(edge, f"sip:bot@127.0.0.1:{edge.sip}")
        refusal = await trunk.answered(call_id)

        assert (refusal.status, refusal.headers.first("Retry-After")) == (503, "5")


async def test_a_bots_call_out_goes_to_the_host_it_names_and_a_number_at_the_edge_to_a_bot(tmp_path: Path) -> None:
    async with (
        peers("127.0.0.1", _CARRIER) as (bot, carrier),
        kamailio_edge(tmp_path, [bot.port]) as edge,
    ):
        await edge.until_bots("AP")

        await bot.invite(edge, f"sip:994501112233@{carrier.host}:{carrier.port}")
        outside = await carrier.invited()
        assert f"<sip:127.0.0.1:{edge.sip};" in str(outside.headers.first("Record-Route"))

        await bot.invite(edge, f"sip:994501112233@127.0.0.1:{edge.sip}")
        assert str((await bot.invited()).uri).endswith(f"@127.0.0.1:{edge.sip}")


async def test_nobody_but_a_bot_calls_out(tmp_path: Path) -> None:
    async with (
        peers("127.0.0.1", _CARRIER, _TRUNK, _STRANGER) as (bot, carrier, trunk, phone),
        kamailio_edge(tmp_path, [bot.port]) as edge,
    ):
        await edge.until_bots("AP")
        outside = f"sip:994501112233@{carrier.host}:{carrier.port}"

        assert (await trunk.answered(await trunk.invite(edge, outside))).status == 403

        challenge = await phone.answered(await phone.invite(edge, outside))
        assert challenge.status == 407
        value = answer_challenge(
            challenge.headers.all("Proxy-Authenticate"),
            Credentials("1001", "gizli"),
            Asked("INVITE", outside),
            cnonce="c",
        )
        known = await phone.invite(edge, outside, extra=f"Proxy-Authorization: {value}\r\n")
        assert (await phone.answered(known)).status == 403

        assert await carrier.nothing_came()


@pytest.mark.parametrize("mark", ["", ";k=", ";k=0123456789abcdef0123456789abcdef"])
async def test_a_call_that_only_claims_to_have_begun_goes_nowhere(tmp_path: Path, mark: str) -> None:
    async with (
        peers("127.0.0.1", _CARRIER, _STRANGER) as (bot, carrier, stranger),
        kamailio_edge(tmp_path, [bot.port]) as edge,
    ):
        route = f"Route: <sip:127.0.0.1:{edge.sip};lr{mark}>\r\n"
        outside = f"sip:994501112233@{carrier.host}:{carrier.port}"

        refusal = await stranger.answered(await stranger.invite(edge, outside, to_tag=";tag=b", extra=route))

        assert refusal.status == 481
        assert await carrier.nothing_came()


async def test_who_is_in_a_call_with_a_bot_reaches_nobody_else_by_it(tmp_path: Path) -> None:
    async with (
        peers("127.0.0.1", _CARRIER, _TRUNK) as (bot, carrier, trunk),
        kamailio_edge(tmp_path, [bot.port]) as edge,
    ):
        await edge.until_bots("AP")
        call_id = await trunk.invite(edge, f"sip:bot@127.0.0.1:{edge.sip}")
        route = f"Route: {(await bot.invited()).headers.first('Record-Route')}\r\n"

        async def ask(uri: str) -> None:
            await trunk.invite(edge, uri, to_tag=";tag=b", extra=route, within=call_id)

        await ask(f"sip:bot@127.0.0.1:{bot.port}")
        assert (await bot.invited()).cseq.number == 2
        await ask(f"sip:994501112233@{carrier.host}:{carrier.port}")
        assert (await trunk.answered(call_id)).status == 403
        assert await carrier.nothing_came()
