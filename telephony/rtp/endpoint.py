"""UDP sockets of one session: RTP and RTCP on neighbouring ports, read when asked and never waited for.

Nothing wakes up for a packet: the media thread reads a session's sockets when its next frame is due. The kernel notes
when each packet came, so neither that nor a busy interpreter shows in the measured jitter.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from ipaddress import ip_address

from telephony.rtp.source import Address

_MTU = 2048
_READ_AT_ONCE = 256  # a flood is read in parts
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python has no name for it
_TIMESPEC = struct.Struct("@qq")
_AGE_MAX_S = 5.0


class RtpEndpoint:
    """The two sockets; raises `OSError` where a port is taken."""

    def __init__(self, *, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.unsent = 0  # datagrams that the system refused
        self._rtp = _open(host, port)
        try:
            self._rtcp = _open(host, port + 1)
        except OSError:
            self._rtp.close()
            raise

    def receive_rtp(self, *, now: float) -> list[tuple[bytes, Address, float]]:
        """Read what has come to the RTP port: data, source, and when (on the clock of `now`)."""
        return _read(self._rtp, now)

    def receive_rtcp(self, *, now: float) -> list[tuple[bytes, Address, float]]:
        """Read what has come to the RTCP port."""
        return _read(self._rtcp, now)

    def send_rtp(self, data: bytes, destination: Address) -> None:
        """Send a datagram from the RTP port; one that cannot go is counted and forgotten."""
        self._send(self._rtp, data, destination)

    def send_rtcp(self, data: bytes, destination: Address) -> None:
        """Send a datagram from the RTCP port."""
        self._send(self._rtcp, data, destination)

    def _send(self, sender: socket.socket, data: bytes, destination: Address) -> None:
        try:
            sender.sendto(data, destination)
        except OSError:
            self.unsent += 1

    def close(self) -> None:
        """Close both sockets."""
        self._rtp.close()
        self._rtcp.close()


def _open(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        if sys.platform == "linux":
            opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        opened.bind((host, port))
    except OSError:
        opened.close()
        raise
    return opened


def _read(reader: socket.socket, now: float) -> list[tuple[bytes, Address, float]]:
    datagrams: list[tuple[bytes, Address, float]] = []
    for _ in range(_READ_AT_ONCE):
        try:
            data, notes, flags, source = reader.recvmsg(_MTU, 64)
        except BlockingIOError:
            break
        except OSError:
            continue  # an ICMP error for something sent before
        if not flags & socket.MSG_TRUNC:
            datagrams.append((data, (source[0], source[1]), now - _age_s(notes)))
    return datagrams


def _age_s(notes: list[tuple[int, int, bytes]]) -> float:
    """How long ago the kernel took the datagram in; 0 where it does not say."""
    for level, kind, value in notes:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(value) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            # Wall clock against wall clock; a step of it in these milliseconds is cut off.
            return min(max(time.time() - seconds - nanoseconds / 1e9, 0.0), _AGE_MAX_S)
    return 0.0
