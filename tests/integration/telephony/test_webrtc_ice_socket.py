"""The socket under aioice: read by the loop until the call's tick reads it, and told of its end."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import Any

import pytest
from aioice import Connection

from telephony.rtp.source import Address
from telephony.rtp.syscalls import DatagramCalls
from telephony.webrtc.ice_socket import IceSocket, gather_hosts

CALLS = [None, DatagramCalls()] if sys.platform == "linux" else [None]
PEER = "127.0.0.1"


class Protocol:
    """What aioice has on a socket."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, Address]] = []
        self.news = asyncio.Event()
        self.lost = asyncio.Event()

    def datagram_received(self, data: bytes, address: Address) -> None:
        self.heard.append((data, address))
        self.news.set()

    def connection_lost(self, error: Exception | None) -> None:
        assert error is None
        self.lost.set()


class Line:
    """A socket of ours and the far side's."""

    def __init__(self, calls: DatagramCalls | None) -> None:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setblocking(False)
        opened.bind((PEER, 0))
        if calls is not None:
            calls.prepare(opened)
        self.protocol = Protocol()
        self.socket = IceSocket(opened, self.protocol, asyncio.get_running_loop(), calls)
        self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far.bind((PEER, 0))
        self.far.settimeout(5)
        self.here, self.there = opened.getsockname(), self.far.getsockname()

    async def wakes_for(self, data: bytes) -> None:
        self.protocol.news.clear()
        self.far.sendto(data, self.here)
        await asyncio.wait_for(self.protocol.news.wait(), 5)

    def close(self) -> None:
        self.socket.close()
        self.far.close()


@pytest.fixture(params=CALLS, ids=lambda calls: "plain" if calls is None else "calls")
async def line(request: pytest.FixtureRequest) -> Line:
    return Line(request.param)


async def test_the_loop_reads_until_the_call_does_and_after(line: Line) -> None:
    await line.wakes_for(b"first")
    line.socket.hold()
    sent_at = time.monotonic()
    line.far.sendto(b"second", line.here)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ((data, source, arrived),) = line.socket.read(now=time.monotonic())
    assert (data, source) == (b"second", line.there)
    assert sent_at - 0.01 <= arrived <= time.monotonic()
    assert line.socket.read(now=time.monotonic()) == []
    line.socket.release()
    await line.wakes_for(b"third")
    assert [data for data, _ in line.protocol.heard] == [b"first", b"third"]
    line.close()


async def test_what_is_sent_goes_at_once_and_what_cannot_go_is_forgotten(line: Line) -> None:
    line.socket.sendto(b"hello", line.there)
    assert line.far.recv(100) == b"hello"
    line.socket.sendto(bytes(70_000), line.there)
    line.close()


async def test_a_closed_socket_is_told_once_and_does_nothing_more(line: Line) -> None:
    assert line.socket.get_extra_info("sockname") == line.here
    assert line.socket.get_extra_info("related_address") is None
    line.close()
    line.close()
    await asyncio.wait_for(line.protocol.lost.wait(), 5)
    line.socket.sendto(b"too late", line.there)
    line.socket.hold()
    line.socket.release()
    assert line.socket.read(now=1.0) == []


@pytest.mark.parametrize("calls", CALLS)
async def test_addresses_that_are_not_ours_are_left_out_and_ipv6_is_bound(calls: DatagramCalls | None) -> None:
    connection = Connection(ice_controlling=False)
    found = await gather_hosts(connection, ["127.0.0.2", "192.0.2.254", "::1"], 1, calls)
    hosts = [candidate.host for candidate in found]
    assert hosts[0] == "127.0.0.2"
    assert set(hosts) <= {"127.0.0.2", "::1"}  # a machine may have no IPv6
    assert len({candidate.port for candidate in found}) == len(found)
    await connection.close()


@pytest.mark.parametrize("answers", [True, False])
async def test_the_address_that_a_stun_server_sees_is_a_candidate_if_it_answers(answers: bool) -> None:
    server = await asyncio.get_running_loop().create_datagram_endpoint(
        StunServer if answers else asyncio.DatagramProtocol, local_addr=(PEER, 0)
    )
    connection = Connection(ice_controlling=False, stun_server=server[0].get_extra_info("sockname"))
    found = await gather_hosts(connection, [PEER], 1, None)
    assert [candidate.type for candidate in found] == (["host", "srflx"] if answers else ["host"])
    if answers:
        assert (found[1].host, found[1].port) == ("203.0.113.7", 4711)
    server[0].close()
    await connection.close()


class StunServer(asyncio.DatagramProtocol):
    """Says that it sees everybody at one address."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        from aioice import stun  # noqa: PLC0415 - here alone

        request = stun.parse_message(data)
        answer = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
        )
        answer.attributes["XOR-MAPPED-ADDRESS"] = ("203.0.113.7", 4711)
        self._transport.sendto(bytes(answer), addr)
