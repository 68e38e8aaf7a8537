"""The two sockets of a session."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from telephony.rtp.endpoint import RtpEndpoint
from telephony.rtp.syscalls import DatagramCalls

HOST = "127.0.0.1"


def free_pair() -> int:
    """An even port that is free with the next one."""
    for port in range(23_000, 23_400, 2):
        try:
            RtpEndpoint(host=HOST, port=port, calls=None).close()
        except OSError:
            continue
        return port
    raise AssertionError("no free pair of ports")


linux = pytest.mark.skipif(sys.platform != "linux", reason="recvmmsg is Linux's")


@pytest.fixture(params=[pytest.param(True, marks=linux, id="syscalls"), pytest.param(False, id="python")])
def calls(request: pytest.FixtureRequest) -> DatagramCalls | None:
    return DatagramCalls() if request.param else None


@pytest.fixture
def endpoint(calls: DatagramCalls | None) -> Iterator[RtpEndpoint]:
    ours = RtpEndpoint(host=HOST, port=free_pair(), calls=calls)
    yield ours
    ours.close()


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs:
        theirs.bind((HOST, 0))
        theirs.settimeout(5)
        yield theirs


def test_datagrams_come_in_order_with_their_source(endpoint: RtpEndpoint, peer: socket.socket) -> None:
    for number in range(40):
        peer.sendto(bytes([number]) * 172, (HOST, endpoint.port))
    peer.sendto(b"rtcp", (HOST, endpoint.port + 1))

    datagrams = endpoint.receive_rtp(now=1.0)

    assert [data for data, _, _ in datagrams] == [bytes([number]) * 172 for number in range(40)]
    assert {source for _, source, _ in datagrams} == {peer.getsockname()}
    assert [data for data, _, _ in endpoint.receive_rtcp(now=1.0)] == [b"rtcp"]
    assert endpoint.receive_rtp(now=1.0) == []


@linux
def test_datagrams_come_with_the_time_of_their_arrival(peer: socket.socket) -> None:
    def how_late() -> float:
        before = time.monotonic()
        peer.sendto(b"one", (HOST, endpoint.port))
        after = time.monotonic()
        time.sleep(0.05)  # read late, as a media thread that was held up would
        ((_, _, arrived),) = endpoint.receive_rtp(now=time.monotonic())
        assert before - 0.01 <= arrived
        return arrived - after

    # The first socket that asks for stamps turns them on in the kernel's own time; until then it notes the reading.
    with contextlib.closing(RtpEndpoint(host=HOST, port=free_pair(), calls=DatagramCalls())) as endpoint:
        assert any(how_late() <= 0.01 for _ in range(100))


@linux
def test_without_the_note_of_the_kernel_a_datagram_came_when_it_was_read(peer: socket.socket) -> None:
    calls = DatagramCalls()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.bind((HOST, 0))
        peer.sendto(b"x", plain.getsockname())
        peer.sendto(b"y", plain.getsockname())

        assert calls.receive(plain.fileno(), now=7.0) == [
            (b"x", peer.getsockname(), 7.0),
            (b"y", peer.getsockname(), 7.0),
        ]


@linux
def test_other_notes_of_the_kernel_are_not_taken_for_the_time(peer: socket.socket) -> None:
    calls = DatagramCalls()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.bind((HOST, 0))
        plain.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        plain.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        peer.sendto(b"x", plain.getsockname())

        assert calls.receive(plain.fileno(), now=7.0) == [(b"x", peer.getsockname(), 7.0)]


def test_each_kind_leaves_from_its_own_port(endpoint: RtpEndpoint, peer: socket.socket) -> None:
    endpoint.send_rtp(b"one", peer.getsockname())
    endpoint.send_rtcp(b"two", peer.getsockname())

    assert [peer.recvfrom(100) for _ in range(2)] == [
        (b"one", (HOST, endpoint.port)),
        (b"two", (HOST, endpoint.port + 1)),
    ]


def test_datagram_longer_than_any_of_ours_is_passed_over(endpoint: RtpEndpoint, peer: socket.socket) -> None:
    peer.sendto(bytes(4_000), (HOST, endpoint.port))
    peer.sendto(b"", (HOST, endpoint.port))

    assert [data for data, _, _ in endpoint.receive_rtp(now=1.0)] == [b""]


def test_datagram_that_cannot_go_is_counted(endpoint: RtpEndpoint) -> None:
    endpoint.send_rtp(bytes(100_000), (HOST, 9))
    endpoint.send_rtp(b"x", ("::1", 9))

    assert endpoint.unsent == 2


def test_flood_is_read_in_parts(endpoint: RtpEndpoint, peer: socket.socket) -> None:
    for _ in range(400):
        peer.sendto(b"x", (HOST, endpoint.port))

    assert len(endpoint.receive_rtp(now=1.0)) <= 256


@pytest.mark.parametrize("held", [0, 1])
def test_port_in_use_leaves_no_socket_behind(held: int, calls: DatagramCalls | None) -> None:
    port = free_pair()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, port + held))
        with pytest.raises(OSError, match="in use"):
            RtpEndpoint(host=HOST, port=port, calls=calls)

    RtpEndpoint(host=HOST, port=port, calls=calls).close()


def test_ipv6_addresses_are_read_and_written(calls: DatagramCalls | None) -> None:
    try:
        endpoint = RtpEndpoint(host="::1", port=free_pair(), calls=calls)
    except OSError:
        pytest.skip("no IPv6 loopback here")

    endpoint.send_rtp(b"x", ("::1", endpoint.port + 1))

    assert [(data, source) for data, source, _ in endpoint.receive_rtcp(now=1.0)] == [(b"x", ("::1", endpoint.port))]
    endpoint.close()
