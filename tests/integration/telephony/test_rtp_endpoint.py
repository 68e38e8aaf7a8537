"""The two sockets of a session."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from telephony.rtp.endpoint import RtpEndpoint

HOST = "127.0.0.1"


def free_pair() -> int:
    """An even port that is free with the next one."""
    for port in range(23_000, 23_400, 2):
        try:
            RtpEndpoint(host=HOST, port=port).close()
        except OSError:
            continue
        return port
    raise AssertionError("no free pair of ports")


@pytest.fixture
def endpoint() -> Iterator[RtpEndpoint]:
    ours = RtpEndpoint(host=HOST, port=free_pair())
    yield ours
    ours.close()


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs:
        theirs.bind((HOST, 0))
        theirs.settimeout(5)
        yield theirs


def test_datagrams_come_with_source_and_time_of_arrival(endpoint: RtpEndpoint, peer: socket.socket) -> None:
    before = time.monotonic()
    peer.sendto(b"one", (HOST, endpoint.port))
    peer.sendto(b"two", (HOST, endpoint.port + 1))
    after = time.monotonic()
    time.sleep(0.05)  # read late, as a media thread that was held up would

    ((data, source, arrived),) = endpoint.receive_rtp(now=time.monotonic())
    ((other, _, _),) = endpoint.receive_rtcp(now=time.monotonic())

    assert (data, source, other) == (b"one", peer.getsockname(), b"two")
    assert before - 0.01 <= arrived <= after + 0.01
    assert endpoint.receive_rtp(now=0.0) == []


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
def test_port_in_use_leaves_no_socket_behind(held: int) -> None:
    port = free_pair()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, port + held))
        with pytest.raises(OSError, match="in use"):
            RtpEndpoint(host=HOST, port=port)

    RtpEndpoint(host=HOST, port=port).close()
