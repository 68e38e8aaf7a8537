"""Frames on their way out of vLLM's process: one packet a step, for all requests that said something.

Header (little-endian): magic u32, rows u32, width u32. Then the keys, int64 [rows], and the rows, int16 [rows,
width]: 1,920 samples, the codes, the frame's number, flags.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int16]
Keys = npt.NDArray[np.int64]

SPOKE, ENDED, LOST, REFUSED = 1, 2, 4, 8
"""Flags of a row: it has sound and codes; it is the request's last; the engine lost the request; it cannot take it."""

_HEADER = struct.Struct("<4sII")
_MAGIC = b"CSM1"
MAX_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class RowFormat:
    """Where things are in a row."""

    samples: int
    codebooks: int

    @property
    def width(self) -> int:
        return self.samples + self.codebooks + 2

    @property
    def cuts(self) -> tuple[int, int, int]:
        """Bytes of a row where its sound ends, where its codes end, and where it ends itself."""
        return 2 * self.samples, 2 * (self.samples + self.codebooks), 2 * self.width


def row_bytes(rows: Rows) -> memoryview:
    """Bytes of rows [n, width], one row after another, as they are sent: little-endian."""
    contiguous: Any = np.ascontiguousarray(rows, "<i2")  # a buffer, which numpy's types do not say
    return memoryview(contiguous).cast("B")


def pack(keys: Keys, rows: Rows) -> list[bytes | memoryview]:
    """Make the buffers of one packet of keys [n] and rows [n, width]."""
    header = _HEADER.pack(_MAGIC, len(keys), rows.shape[1])
    return [header, np.ascontiguousarray(keys).data, np.ascontiguousarray(rows).data]


class Unpacker:
    """Packets from a stream of bytes cut anywhere, put in place as they are received: nothing of them is copied."""

    def __init__(self) -> None:
        self._header, self._body = bytearray(_HEADER.size), bytearray()
        self._size = 0  # of the body that is being received
        self._in_body = False
        self._filled = 0

    def room(self) -> memoryview:
        """Return where the next bytes go; never empty."""
        if self._in_body:
            return memoryview(self._body)[self._filled : self._size]
        return memoryview(self._header)[self._filled :]

    def received(self, count: int) -> tuple[Keys, Rows] | None:
        """Note that `count` bytes were put into `room()`; return the packet that is whole by them.

        Its arrays are overwritten by the next one. Raises ValueError if the bytes are no packet.
        """
        self._filled += count
        if self._filled == (self._size if self._in_body else _HEADER.size):
            self._filled, self._in_body = 0, not self._in_body
            if not self._in_body or not self._begin():
                return self._packet()
        return None

    def _begin(self) -> int:
        """Read the header; return how many bytes follow."""
        magic, count, width = _HEADER.unpack(self._header)
        if magic != _MAGIC or count > MAX_ROWS or width > MAX_ROWS:
            raise ValueError("this is no stream of speech frames")
        self._size = count * (8 + 2 * width)
        if len(self._body) < self._size:
            self._body = bytearray(self._size)
        return self._size

    def _packet(self) -> tuple[Keys, Rows]:
        self._in_body = False
        _, count, width = _HEADER.unpack(self._header)
        keys = np.frombuffer(self._body, "<i8", count)
        rows = np.frombuffer(self._body, "<i2", count * width, 8 * count)
        return keys, rows.reshape(count, width)
