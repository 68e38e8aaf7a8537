"""Frames on their way out of vLLM's process: one packet a step, for all requests that said something.

Header (little-endian): magic u32, rows u32, width u32. Then the keys, int64 [rows], and the rows, int16 [rows,
width]: 1,920 samples, the codes, the frame's number, flags.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int16]
Keys = npt.NDArray[np.int64]

SPOKE, ENDED, LOST = 1, 2, 4
"""Flags of a row: it has sound and codes; it is the request's last; the engine lost the request."""

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

    def pcm(self, row: Rows) -> bytes:
        return row[: self.samples].astype("<i2", copy=False).tobytes()

    def codes(self, row: Rows) -> bytes:
        return row[self.samples : self.samples + self.codebooks].astype("<i2", copy=False).tobytes()


def pack(keys: Keys, rows: Rows) -> list[bytes | memoryview]:
    """Make the buffers of one packet of keys [n] and rows [n, width]."""
    header = _HEADER.pack(_MAGIC, len(keys), rows.shape[1])
    return [header, np.ascontiguousarray(keys).data, np.ascontiguousarray(rows).data]


class Unpacker:
    """Packets from a stream of bytes cut anywhere."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[tuple[Keys, Rows]]:
        """Take bytes and return the packets that are whole; raises ValueError if they are no packets."""
        self._held += data
        packets: list[tuple[Keys, Rows]] = []
        while (packet := self._next()) is not None:
            packets.append(packet)
        return packets

    def _next(self) -> tuple[Keys, Rows] | None:
        if len(self._held) < _HEADER.size:
            return None
        magic, count, width = _HEADER.unpack_from(self._held)
        if magic != _MAGIC or count > MAX_ROWS or width > MAX_ROWS:
            raise ValueError("this is no stream of speech frames")
        size = _HEADER.size + count * (8 + 2 * width)
        if len(self._held) < size:
            return None
        packet = bytes(self._held[:size])
        del self._held[:size]
        keys = np.frombuffer(packet, "<i8", count, _HEADER.size)
        rows = np.frombuffer(packet, "<i2", count * width, _HEADER.size + 8 * count)
        return keys, rows.reshape(count, width)
