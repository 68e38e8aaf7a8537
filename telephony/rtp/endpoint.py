"""UDP sockets of one session: RTP and RTCP on neighbouring ports, read when asked and never waited for.

Nothing wakes up for a packet: the media thread reads a session's sockets when its next frame is due.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address

from telephony.rtp.source import Address
from telephony.rtp.syscalls import DatagramCalls

_MTU = 2048
_READ_AT_ONCE = 256  # a flood is read in parts
_TRUNCATED = int(socket.MSG_TRUNC)


class RtpEndpoint:
    """The two sockets; raises `OSError` where a port is taken. `calls` is None elsewhere than on Linux."""

    def __init__(self, *, host: str, port: int, calls: DatagramCalls | None, public_host: str = "") -> None:
        self.public_host = public_host or host  # what peers are told
        self.port = port
        self.unsent = 0  # datagrams that the system refused
        self._calls = calls
        self._rtp = _open(host, port, calls)
        self._rtp_descriptor = self._rtp.fileno()
        try:
            self._rtcp = _open(host, port + 1, calls)
        except OSError:
            self._rtp.close()
            raise

    def receive_rtp(self, *, now: float) -> list[tuple[bytes, Address, float]]:
        """Read what has come to the RTP port: data, source, and when (on the clock of `now`)."""
        if self._calls is not None:
            return self._calls.receive(self._rtp_descriptor, now=now)
        return self._receive(self._rtp, now)

    def receive_rtcp(self, *, now: float) -> list[tuple[bytes, Address, float]]:
        """Read what has come to the RTCP port."""
        return self._receive(self._rtcp, now)

    def send_rtp(self, data: bytes, destination: Address) -> None:
        """Send a datagram from the RTP port; one that cannot go is counted and forgotten."""
        if self._calls is None:
            self._send(self._rtp, data, destination)
        elif not self._calls.send(self._rtp_descriptor, data, destination):
            self.unsent += 1

    def send_rtcp(self, data: bytes, destination: Address) -> None:
        """Send a datagram from the RTCP port."""
        self._send(self._rtcp, data, destination)

    def _receive(self, opened: socket.socket, now: float) -> list[tuple[bytes, Address, float]]:
        if self._calls is not None:
            return self._calls.receive(opened.fileno(), now=now)
        datagrams: list[tuple[bytes, Address, float]] = []
        for _ in range(_READ_AT_ONCE):
            try:
                data, _, flags, source = opened.recvmsg(_MTU)
            except OSError:
                break  # nothing more
            if not flags & _TRUNCATED:
                datagrams.append((data, (source[0], source[1]), now))
        return datagrams

    def _send(self, opened: socket.socket, data: bytes, destination: Address) -> None:
        if self._calls is not None:
            if not self._calls.send(opened.fileno(), data, destination):
                self.unsent += 1
            return
        try:
            opened.sendto(data, destination)
        except OSError:
            self.unsent += 1

    def close(self) -> None:
        """Close both sockets."""
        self._rtp.close()
        self._rtcp.close()


def _open(host: str, port: int, calls: DatagramCalls | None) -> socket.socket:
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        if calls is not None:
            calls.prepare(opened)
        opened.bind((host, port))
    except OSError:
        opened.close()
        raise
    return opened
