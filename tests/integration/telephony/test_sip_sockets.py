"""SIP's sockets: UDP, and TCP with strangers who send what they like."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest
import uvloop

from telephony.errors import LocalProtocolError
from telephony.local_address import local_address
from telephony.settings import SipSettings
from telephony.sip.flow import Flow
from telephony.sip.from_settings import user_agent_config
from telephony.sip.sockets import SipSockets
from telephony.sip.source_gate import GateLimits, Kept, SourceGate
from telephony.sip.tcp import TcpLimits
from tests.unit.telephony.sip.messages import request, request_bytes, response_bytes
from tests.waiting import HUNG_S, eventually

OPTIONS = request_bytes("OPTIONS", transport="TCP")


class Echo:
    """Sends everything back where it came from."""

    def __init__(self, sockets: SipSockets) -> None:
        self.sockets = sockets
        self.received: list[tuple[bytes, Flow]] = []
        self.lost: list[Flow] = []

    def receive(self, data: bytes, flow: Flow) -> None:
        self.received.append((data, flow))
        self.sockets.transmit(data, flow)

    def flow_lost(self, flow: Flow) -> None:
        self.lost.append(flow)


@asynccontextmanager
async def echoing(
    limits: TcpLimits | None = None, *, gate: SourceGate | None = None
) -> AsyncIterator[tuple[Echo, int]]:
    sockets = SipSockets(gate=gate, tcp_limits=limits)
    _, port = await sockets.open("127.0.0.1", 0, tcp=True)
    echo = Echo(sockets)
    sockets.attach(echo)
    yield echo, port
    await sockets.close()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    yield reader, writer
    writer.close()


async def test_a_datagram_is_answered_where_it_came_from() -> None:
    async with echoing() as (echo, port):
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.setblocking(False)
            await loop.sock_sendto(peer, b"hello", ("127.0.0.1", port))

            assert await loop.sock_recv(peer, 100) == b"hello"
            assert echo.received == [(b"hello", Flow("udp", "127.0.0.1", peer.getsockname()[1]))]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_what_cannot_be_sent_is_dropped_and_the_next_goes_out(
    run: Callable[[Coroutine[None, None, None]], None],
) -> None:
    async def scenario() -> None:
        sockets = SipSockets()
        await sockets.open("127.0.0.1", 0, tcp=False)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(2.0)
            reached = Flow("udp", "127.0.0.1", peer.getsockname()[1])
            sockets.transmit(OPTIONS, Flow("udp", "::1", 5060))
            sockets.transmit(OPTIONS, Flow("udp", "127.0.0.1", 0))
            sockets.transmit(OPTIONS + bytes(70_000), reached)  # longer than a datagram can be
            sockets.transmit(OPTIONS, reached)
            await asyncio.sleep(0.01)

            assert peer.recv(100_000) == OPTIONS
        assert sockets.dropped == 3
        await sockets.close()

    run(scenario())


async def test_messages_on_a_connection_are_framed_however_they_come() -> None:
    async with echoing() as (echo, port), connected(port) as (reader, writer):
        writer.write(OPTIONS + OPTIONS[:100])
        assert await reader.readexactly(len(OPTIONS)) == OPTIONS
        writer.write(OPTIONS[100:])
        assert await reader.readexactly(len(OPTIONS)) == OPTIONS

        first, second = (flow for _, flow in echo.received)
        assert first == second
        assert (first.transport, first.connection > 0) == ("tcp", True)


async def test_a_ping_gets_its_pong() -> None:
    async with echoing() as (_, port), connected(port) as (reader, writer):
        writer.write(b"\r\n\r\n")

        assert await reader.readexactly(2) == b"\r\n"


async def test_a_stream_that_cannot_be_followed_is_answered_and_closed() -> None:
    async with echoing() as (echo, port), connected(port) as (reader, writer):
        writer.write(OPTIONS.replace(b"Content-Length: 0", b"X: 0"))

        assert (await reader.read()).startswith(b"SIP/2.0 400 ")
        await eventually(lambda: echo.lost)


async def test_a_stream_of_something_else_is_closed_without_a_word() -> None:
    async with echoing() as (_, port), connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

        assert await reader.read() == b""


@pytest.mark.parametrize("said", [b"", OPTIONS[:50], OPTIONS + OPTIONS[:50]])
async def test_a_connection_that_stops_in_the_middle_is_closed(said: bytes) -> None:
    limits = TcpLimits(first_message_s=0.05, message_s=0.05)
    async with echoing(limits) as (_, port), connected(port) as (reader, writer):
        writer.write(said)

        assert len(await reader.read()) == len(said) // len(OPTIONS) * len(OPTIONS)


async def test_a_connection_that_has_said_something_may_be_silent() -> None:
    async with echoing(TcpLimits(first_message_s=0.05)) as (_, port), connected(port) as (reader, writer):
        for _ in range(2):
            writer.write(OPTIONS)
            assert await reader.readexactly(len(OPTIONS)) == OPTIONS
            await asyncio.sleep(0.1)


async def test_a_message_that_comes_byte_by_byte_gets_no_more_time_for_each() -> None:
    async with echoing(TcpLimits(message_s=0.2)) as (_, port), connected(port) as (reader, writer):
        writer.write(OPTIONS)
        await reader.readexactly(len(OPTIONS))
        sent = 0
        while not reader.at_eof() and sent < len(OPTIONS):
            writer.write(OPTIONS[sent : sent + 1])
            sent += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    assert await reader.read() == b""

    assert sent < len(OPTIONS)


@pytest.mark.parametrize(
    "limits", [TcpLimits(connections=1), TcpLimits(connections_of_a_host=1)], ids=["all", "a host"]
)
async def test_there_is_a_limit_to_connections_of_all_and_of_one_host(limits: TcpLimits) -> None:
    async with echoing(limits) as (_, port), connected(port) as (reader, writer):
        writer.write(OPTIONS)
        await reader.readexactly(len(OPTIONS))

        async with connected(port) as (second, _):
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await second.readexactly(1)


async def test_a_peer_that_does_not_read_is_cut_off() -> None:
    async with echoing(TcpLimits(write_buffer_bytes=1000)) as (echo, port), connected(port) as (_, writer):
        writer.write(OPTIONS)
        await eventually(lambda: echo.received)
        flow = echo.received[0][1]
        for _ in range(1000):
            echo.sockets.transmit(b"x" * 60_000, flow)

        await eventually(lambda: echo.lost)
        assert echo.lost == [flow]


async def test_messages_to_one_address_share_the_connection_that_we_open() -> None:
    async with echoing() as (_, port), echoing() as (caller, _):
        flow = Flow("tcp", "127.0.0.1", port)
        for _ in range(3):
            caller.sockets.transmit(OPTIONS, flow)
        # The other side echoes, and so does this one: the first message to come back is enough.
        await eventually(lambda: caller.received)
        caller.sockets.transmit(OPTIONS, flow)

        assert {each.connection for _, each in caller.received} == {caller.received[0][1].connection}


async def test_a_connection_that_we_opened_is_lost_by_both_its_names() -> None:
    async with echoing() as (caller, _):
        listener = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        flow = Flow("tcp", "127.0.0.1", listener.sockets[0].getsockname()[1])
        caller.sockets.transmit(OPTIONS, flow)
        await eventually(lambda: len(caller.lost) == 2)
        listener.close()

        assert flow in caller.lost
        assert [lost.connection > 0 for lost in caller.lost] == [True, False]


async def test_a_connection_that_cannot_be_opened_or_is_gone_is_lost() -> None:
    async with echoing() as (echo, _):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            refused = Flow("tcp", "127.0.0.1", unused.getsockname()[1])
        gone = Flow("tcp", "127.0.0.1", 1, 99)

        echo.sockets.transmit(OPTIONS, refused)
        echo.sockets.transmit(OPTIONS, gone)
        assert echo.lost == []
        await eventually(lambda: len(echo.lost) == 2)

        assert set(echo.lost) == {refused, gone}


async def test_closing_gives_up_connections_that_are_being_opened() -> None:
    before = asyncio.all_tasks()
    async with echoing() as (echo, port):
        echo.sockets.transmit(OPTIONS, Flow("tcp", "127.0.0.1", port))
        assert asyncio.all_tasks() > before

    assert asyncio.all_tasks() == before


async def test_nothing_is_heard_before_anybody_listens_nor_sent_after_the_end() -> None:
    sockets = SipSockets()
    _, port = await sockets.open("127.0.0.1", 0, tcp=True)
    async with connected(port) as (_, writer):
        writer.write(OPTIONS)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.sendto(b"hello", ("127.0.0.1", port))
            await asyncio.sleep(0.05)
    await sockets.close()
    sockets.transmit(b"late", Flow("udp", "127.0.0.1", port))

    assert sockets.dropped == 1
    await sockets.close()


async def test_an_address_in_use_is_an_error() -> None:
    async with echoing() as (echo, port):
        with pytest.raises(OSError, match="in use"):
            await SipSockets().open("127.0.0.1", port, tcp=True)
        assert echo.sockets.address == ("127.0.0.1", port)


def test_our_address_is_the_one_that_packets_leave_from() -> None:
    assert local_address("127.0.0.1") == "127.0.0.1"
    with pytest.raises(OSError, match="denied"):
        local_address("255.255.255.255")


def test_all_addresses_are_named_by_the_one_of_the_default_route() -> None:
    everywhere = SipSettings(host="0.0.0.0")
    try:
        expected = local_address("192.0.2.1")
    except OSError:
        with pytest.raises(LocalProtocolError, match="domain"):
            user_agent_config(everywhere, port=5060)
    else:
        assert user_agent_config(everywhere, port=5060).identity.host == expected
    assert user_agent_config(SipSettings(host="::", domain="192.0.2.9"), port=1).identity.host == "192.0.2.9"


async def test_udp_alone_leaves_tcp_to_others() -> None:
    sockets = SipSockets()
    _, port = await sockets.open("127.0.0.1", 0, tcp=False)

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await sockets.close()


# Strangers


async def test_a_source_that_is_not_named_gets_no_answer_over_udp(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    gate = SourceGate(GateLimits(("127.0.0.1",)))
    async with echoing(gate=gate) as (echo, port):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as friend,
        ):
            for each, host in ((stranger, "127.0.0.2"), (friend, "127.0.0.1")):
                each.setblocking(False)
                each.bind((host, 0))
            for _ in range(50):
                await loop.sock_sendto(stranger, OPTIONS, ("127.0.0.1", port))
            await loop.sock_sendto(friend, OPTIONS, ("127.0.0.1", port))
            async with asyncio.timeout(HUNG_S):
                assert await loop.sock_recv(friend, 2048) == OPTIONS
            with pytest.raises(BlockingIOError):
                stranger.recv(2048)

    assert len(echo.received) == 1
    assert gate.kept[Kept.SOURCE] == 50
    # One line for all fifty, and it says what to do.
    assert caplog.text.count("dropped a message of 127.0.0.2") == 1
    assert "[sip] allowed_sources" in caplog.text


async def test_a_source_that_is_not_named_has_its_connection_cut_and_takes_no_place() -> None:
    gate = SourceGate(GateLimits(("127.0.0.1",)))
    async with echoing(TcpLimits(connections=1), gate=gate) as (echo, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        async with asyncio.timeout(HUNG_S):
            with contextlib.suppress(ConnectionError):
                assert await reader.read(1) == b""
        writer.close()
        async with connected(port) as (friend, sending):
            sending.write(OPTIONS)
            async with asyncio.timeout(HUNG_S):
                assert await friend.readexactly(len(OPTIONS)) == OPTIONS

    assert len(echo.received) == 1


async def test_what_would_go_out_of_proportion_is_not_sent() -> None:
    loop = asyncio.get_running_loop()
    gate = SourceGate(GateLimits())
    async with echoing(gate=gate) as (echo, port):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.setblocking(False)
            peer.bind(("127.0.0.1", 0))
            await loop.sock_sendto(peer, response_bytes(request(), 200), ("127.0.0.1", port))
            await eventually(lambda: echo.received)
            flow = echo.received[0][1]
            response = b"SIP/2.0 200 OK\r\n" + b"x" * 1000
            for _ in range(100):
                echo.sockets.transmit(response, flow)

    assert 90 < gate.kept[Kept.REPLY] < 100
