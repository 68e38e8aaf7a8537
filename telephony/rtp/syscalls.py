"""`recvmmsg` and `sendto` of Linux, called without letting go of the interpreter's lock.

Python's own socket calls let go of it, and a thread that lets go while the bot computes waits up to 5 ms to get it
back. With ten calls beside a bot that never paused, on a busy machine, frames left 17 ms late at the median and 92 at
the 99th percentile; with these calls 6 and 43. `ctypes.PyDLL` holds on to the lock, here for 2 to 5 us. One
`recvmmsg` also reads several datagrams, with the kernel's note of when each came.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from functools import lru_cache
from ipaddress import ip_address

from telephony.rtp.source import Address

_MTU = 2048
_AT_ONCE = 16
_ROUNDS = 16  # a flood is read in parts
_NAME_BYTES = 28  # sockaddr_in6
_NOTES_BYTES = 64
_NO_WAIT = 0x40  # MSG_DONTWAIT
_TRUNCATED = 0x20  # MSG_TRUNC
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python has no name for it
_NOTE = struct.Struct("@Niiqq")  # cmsghdr with a timespec
_MESSAGE = struct.Struct("@PIPNPNi0PI0P")  # mmsghdr: reading it whole is a tenth of the price of ctypes' fields
_AGE_MAX_S = 5.0


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """`struct msghdr`."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("notes", ctypes.c_void_p),
        ("notes_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """`struct mmsghdr`."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


class DatagramCalls:
    """The two calls with room for the datagrams of one `recvmmsg`; serves all the sockets of one thread."""

    def __init__(self) -> None:
        libc = ctypes.PyDLL(None)
        self._recvmmsg = libc.recvmmsg
        self._recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
        self._sendto = libc.sendto
        self._sendto.argtypes = (
            ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32,
        )  # fmt: skip
        self._data = ctypes.create_string_buffer(_AT_ONCE * _MTU)
        self._names = ctypes.create_string_buffer(_AT_ONCE * _NAME_BYTES)
        self._notes = ctypes.create_string_buffer(_AT_ONCE * _NOTES_BYTES)
        self._vectors = (_Vector * _AT_ONCE)()
        self._view = memoryview(bytearray(_AT_ONCE * _MESSAGE.size))
        messages = (_Message * _AT_ONCE).from_buffer(self._view)
        for index, message in enumerate(messages):
            self._vectors[index] = _Vector(ctypes.addressof(self._data) + index * _MTU, _MTU)
            header = message.header
            header.vectors = ctypes.pointer(self._vectors[index])
            header.vector_count = 1
            header.name = ctypes.addressof(self._names) + index * _NAME_BYTES
            header.notes = ctypes.addressof(self._notes) + index * _NOTES_BYTES
            header.name_length, header.notes_length = _NAME_BYTES, _NOTES_BYTES
        self._messages_at = ctypes.addressof(messages)
        self._fresh = bytes(
            self._view
        )  # a call writes over the lengths: how much there was, in place of how much may be

    @staticmethod
    def prepare(opened: socket.socket) -> None:
        """Have the kernel note when each datagram comes."""
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def receive(self, descriptor: int, *, now: float) -> list[tuple[bytes, Address, float]]:
        """Read what has come to a socket: data, source, and when it came on the clock of `now`."""
        datagrams: list[tuple[bytes, Address, float]] = []
        for _ in range(_ROUNDS):
            count = self._recvmmsg(descriptor, self._messages_at, _AT_ONCE, _NO_WAIT, None)
            if count <= 0:
                break
            for index in range(count):
                message = _MESSAGE.unpack_from(self._view, index * _MESSAGE.size)
                _, name_length, _, _, _, notes_length, flags, length = message
                if not flags & _TRUNCATED:
                    data_at, name_at = index * _MTU, index * _NAME_BYTES
                    source = _address(bytes(self._names[name_at : name_at + name_length]))
                    data = bytes(self._data[data_at : data_at + length])
                    datagrams.append((data, source, now - self._age_s(index, notes_length)))
            used = count * _MESSAGE.size
            self._view[:used] = self._fresh[:used]
            if count < _AT_ONCE:
                break
        return datagrams

    def _age_s(self, index: int, notes_length: int) -> float:
        """Tell how long ago the kernel took a datagram in; 0 where it does not say."""
        if notes_length < _NOTE.size:
            return 0.0
        _, level, kind, seconds, nanoseconds = _NOTE.unpack_from(self._notes, index * _NOTES_BYTES)
        if level != socket.SOL_SOCKET or kind != _SO_TIMESTAMPNS:
            return 0.0
        # Wall clock against wall clock; a step of it in these milliseconds is passed over.
        age_s = time.time() - seconds - nanoseconds / 1e9
        return age_s if 0.0 < age_s < _AGE_MAX_S else 0.0

    def send(self, descriptor: int, data: bytes, destination: Address) -> bool:
        """Send a datagram; False if the system refuses it."""
        name = _socket_address(destination)
        return self._sendto(descriptor, data, len(data), _NO_WAIT, name, len(name)) >= 0


@lru_cache(maxsize=4096)
def _address(name: bytes) -> Address:
    """Read a `sockaddr_in` or `sockaddr_in6`."""
    (port,) = struct.unpack_from("!H", name, 2)
    if struct.unpack_from("@H", name)[0] == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port
    return socket.inet_ntop(socket.AF_INET6, name[8:24]), port


@lru_cache(maxsize=4096)
def _socket_address(address: Address) -> bytes:
    """Write a `sockaddr_in` or `sockaddr_in6`."""
    host, port = ip_address(address[0]), struct.pack("!H", address[1])
    if host.version == 4:
        return struct.pack("@H", socket.AF_INET) + port + host.packed + bytes(8)
    return struct.pack("@H", socket.AF_INET6) + port + bytes(4) + host.packed + bytes(4)
