"""RTP packets (RFC 3550 section 5.1): parse any, build plain ones."""

from __future__ import annotations

import struct
from typing import NamedTuple

from telephony.errors import RtpParseError

_HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")
_VERSION = 0x80
_PADDING, _EXTENDED = 0x20, 0x10


class RtpPacket(NamedTuple):
    """One packet; padding is gone from `payload`. A tuple: made in a quarter of the time of a frozen dataclass."""

    payload_type: int
    sequence: int  # 16 bits
    timestamp: int  # 32 bits, media clock
    ssrc: int
    payload: bytes
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None  # profile's number, whole 32-bit words


def parse_rtp(data: bytes) -> RtpPacket:
    """Read a datagram; raises `RtpParseError` for what is not one whole RTP packet."""
    if len(data) < _HEADER.size:
        raise RtpParseError(f"RTP packet of {len(data)} bytes, shorter than its header")
    flags, marked_type, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if flags == _VERSION:  # no padding, extension or CSRC: nearly every packet
        return RtpPacket(marked_type & 0x7F, sequence, timestamp, ssrc, data[12:], marked_type >= 0x80)
    if flags & 0xC0 != _VERSION:
        raise RtpParseError(f"RTP version {flags >> 6}, not 2")
    start = _HEADER.size + 4 * (flags & 0x0F)
    if start > len(data):
        raise RtpParseError("RTP packet ends within its CSRC list")
    csrcs = struct.unpack_from(f"!{flags & 0x0F}I", data, _HEADER.size)
    extension = None
    if flags & _EXTENDED:
        extension, start = _parse_extension(data, start)
    end = len(data)
    if flags & _PADDING:
        padding = data[-1]
        if not 0 < padding <= end - start:
            raise RtpParseError(f"RTP padding of {padding} bytes in {end - start}")
        end -= padding
    return RtpPacket(
        payload_type=marked_type & 0x7F,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=data[start:end],
        marker=marked_type >= 0x80,
        csrcs=csrcs,
        extension=extension,
    )


def _parse_extension(data: bytes, start: int) -> tuple[tuple[int, bytes], int]:
    body = start + _EXTENSION.size
    if body > len(data):
        raise RtpParseError("RTP packet ends within its extension's header")
    profile, words = _EXTENSION.unpack_from(data, start)
    end = body + 4 * words
    if end > len(data):
        raise RtpParseError("RTP packet ends within its extension")
    return (profile, data[body:end]), end


def build_plain_rtp(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, *, marker: bool
) -> bytes:
    """Write a packet without CSRCs and extension, which is all that we send."""
    marked_type = payload_type | 0x80 if marker else payload_type
    return _HEADER.pack(_VERSION, marked_type, sequence, timestamp, ssrc) + payload


def is_rtcp(data: bytes) -> bool:
    """Tell RTCP from RTP on one port by the packet type (RFC 5761 section 4)."""
    return len(data) > 1 and 192 <= data[1] <= 223
