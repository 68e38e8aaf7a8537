"""Asterisk's AudioSocket: a TCP stream of type (1 byte), length (2 bytes, big-endian) and payload.

Source: docs.asterisk.org, Configuration, Channel Drivers, AudioSocket. Sound is signed linear at 8 kHz, little-endian.
"""

from __future__ import annotations

import struct
import uuid
from typing import Literal

from telephony.stream.dialect import Broken, Key, Sound, Started, Stopped, StreamEvent, Wire
from telephony.stream.texts import KEYS

_HEADER = struct.Struct("!BH")
_HANG_UP, _UUID, _DTMF, _SLIN_8K, _ERROR = 0x00, 0x01, 0x03, 0x10, 0xFF
_OTHER_RATES = range(0x11, 0x19)


class AudioSocketDialect:
    """One connection. Frames of other types are passed over, as the protocol may grow."""

    name: Literal["audiosocket"] = "audiosocket"
    sends_silence = True

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._started = False

    def receive(self, data: Wire) -> list[StreamEvent]:
        """Take bytes of the stream, cut anywhere."""
        assert isinstance(data, bytes)
        self._buffer += data
        events: list[StreamEvent] = []
        while len(self._buffer) >= _HEADER.size:
            kind, length = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + length
            if len(self._buffer) < end:
                break
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            events += self._read(kind, payload)
        return events

    def _read(self, kind: int, payload: bytes) -> list[StreamEvent]:
        if kind == _UUID and len(payload) == 16 and not self._started:
            self._started = True
            return [Started(str(uuid.UUID(bytes=payload)))]
        if not self._started:
            return [Broken("the first frame is not the call's UUID")]
        if kind == _SLIN_8K:
            return [Sound(payload[: len(payload) // 2 * 2])]
        if kind == _DTMF:
            digit = payload.decode("latin-1").upper()
            return [Key(digit)] if digit in KEYS else []
        if kind in _OTHER_RATES:
            return [Broken("sound at another rate than 8 kHz: use c(slin) in the dial plan")]
        if kind == _HANG_UP:
            return [Stopped()]
        return [Stopped(f"Asterisk's error {payload.hex()}")] if kind == _ERROR else []

    def answer(self) -> list[Wire]:
        """Say nothing: the dial plan answers."""
        return []

    def sound(self, pcm: bytes) -> list[Wire]:
        """Write 20 ms."""
        return [_HEADER.pack(_SLIN_8K, len(pcm)) + pcm]

    def clear(self) -> list[Wire]:
        """Say nothing: Asterisk holds no more than what has been sent."""
        return []

    def digits(self, digits: str) -> list[Wire] | None:
        """The protocol has keys from Asterisk only."""
        del digits
        return None

    def hang_up(self) -> list[Wire]:
        """End the call."""
        return [_HEADER.pack(_HANG_UP, 0)]
