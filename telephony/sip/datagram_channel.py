"""`DatagramChannel`: whole datagrams over one end of a connected Unix socket.

asyncio's own datagram transport cannot send on a socket pair, whose peer has no name (CPython 3.11,
`_SelectorDatagramTransport.sendto`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable

BUFFER_BYTES = 1_048_576
"""Asked of the kernel for each direction, which may give less."""

MAX_DATAGRAM_BYTES = 131_072
MAX_QUEUED = 2048
_logger = logging.getLogger(__name__)
_READ_AT_ONCE = 64  # then the loop's other work has its turn


class DatagramChannel:
    """Sends without waiting; what the kernel will not take is queued, and beyond `MAX_QUEUED` dropped."""

    def __init__(
        self, sock: socket.socket, *, peer: str, on_datagram: Callable[[bytes], None], on_lost: Callable[[], None]
    ) -> None:
        """`peer` names the other end, for the log."""
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self._socket = sock
        self._peer = peer
        self._on_datagram = on_datagram
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._queue: deque[bytes] = deque()
        self._closed = False
        self._full = False
        self._loop.add_reader(sock, self._read)

    def send(self, datagram: bytes) -> None:
        """Send one datagram."""
        if not self._closed and (self._queue or not self._try(datagram)):
            if len(self._queue) >= MAX_QUEUED:
                self._note_full()
                return
            if not self._queue:
                self._loop.add_writer(self._socket, self._write)
            self._queue.append(datagram)

    def _note_full(self) -> None:
        if not self._full:
            self._full = True
            _logger.error("%s takes no SIP messages, and %d wait: more are dropped", self._peer, MAX_QUEUED)

    def _try(self, datagram: bytes) -> bool:
        """Whether the kernel took it; a peer that is gone takes everything."""
        try:
            self._socket.send(datagram)
        except BlockingIOError:
            return False
        except OSError:
            # Not from within the caller's own work.
            self._loop.call_soon(self._lose)
        return True

    def _write(self) -> None:
        while self._queue and self._try(self._queue[0]):
            self._queue.popleft()
        if not self._queue:
            self._full = False
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        for _ in range(_READ_AT_ONCE):
            if self._closed:
                return
            try:
                datagram = self._socket.recv(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:
                self._lose()
                return
            if not datagram:  # the other end of a SOCK_SEQPACKET pair was closed
                self._lose()
                return
            self._on_datagram(datagram)

    def _lose(self) -> None:
        if not self._closed:
            self.close()
            self._on_lost()

    def close(self) -> None:
        """Close the socket; what is queued is dropped. Idempotent."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._queue.clear()
            self._socket.close()
