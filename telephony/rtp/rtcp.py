"""RTCP (RFC 3550 section 6): sender and receiver reports, source description, goodbye; always compound."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from telephony.errors import RtpParseError
from telephony.rtp.xr import ExtendedReport, build_xr, parse_xr

_SENDER_REPORT, _RECEIVER_REPORT, _SOURCE_DESCRIPTION, _GOODBYE = 200, 201, 202, 203
_EXTENDED_REPORT = 207  # RFC 3611
_CNAME = 1
_HEADER = struct.Struct("!BBH")
_BLOCK = struct.Struct("!IIIIII")
_SENDER_INFO = struct.Struct("!QIII")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """How one source is received (section 6.4.1)."""

    ssrc: int
    fraction_lost: int  # of 256
    lost: int  # signed 24 bits
    highest_sequence: int  # with its cycles, 32 bits
    jitter: int  # timestamp units
    last_sender_report: int  # middle 32 bits of its NTP time; 0: none came
    delay_since_last: int  # 1/65536 s


@dataclass(frozen=True, slots=True)
class SenderReport:
    """SR."""

    ssrc: int
    ntp: int  # 64 bits: seconds since 1900 in the upper half
    rtp_timestamp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """RR."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """SDES with the one item that must be there."""

    ssrc: int
    cname: str


@dataclass(frozen=True, slots=True)
class Goodbye:
    """BYE."""

    ssrcs: tuple[int, ...]


RtcpPacket: TypeAlias = SenderReport | ReceiverReport | SourceDescription | Goodbye | ExtendedReport


def parse_rtcp(data: bytes) -> list[RtcpPacket]:
    """Read a compound packet; unknown types are passed over. Raises `RtpParseError` (checks of RFC 3550 A.2)."""
    if len(data) < 4 or data[1] not in {_SENDER_REPORT, _RECEIVER_REPORT}:
        raise RtpParseError("RTCP does not begin with a report")
    packets: list[RtcpPacket] = []
    start = 0
    while start < len(data):
        if start + 4 > len(data):
            raise RtpParseError("RTCP ends within a header")
        flags, packet_type, words = _HEADER.unpack_from(data, start)
        end = start + 4 + 4 * words
        if flags & 0xC0 != 0x80 or end > len(data):
            raise RtpParseError("RTCP packet of another version or beyond the datagram")
        body = data[start + 4 : end]
        if flags & 0x20:
            body = _without_padding(body, is_last=end == len(data))
        packets += _parse_one(packet_type, flags & 0x1F, body)
        start = end
    return packets


def _without_padding(body: bytes, *, is_last: bool) -> bytes:
    if not is_last or not body or not 0 < body[-1] <= len(body):
        raise RtpParseError("RTCP padding that is not at the end, or larger than its packet")
    return body[: -body[-1]]


def _parse_one(packet_type: int, count: int, body: bytes) -> list[RtcpPacket]:
    try:
        if packet_type == _SENDER_REPORT:
            (ssrc,) = struct.unpack_from("!I", body)
            ntp, timestamp, sent, octets = _SENDER_INFO.unpack_from(body, 4)
            return [SenderReport(ssrc, ntp, timestamp, sent, octets, _parse_blocks(body, 24, count))]
        if packet_type == _RECEIVER_REPORT:
            (ssrc,) = struct.unpack_from("!I", body)
            return [ReceiverReport(ssrc, _parse_blocks(body, 4, count))]
        if packet_type == _SOURCE_DESCRIPTION:
            return [*_parse_descriptions(body, count)]
        if packet_type == _GOODBYE:
            return [Goodbye(struct.unpack_from(f"!{count}I", body))]
        if packet_type == _EXTENDED_REPORT:
            return [parse_xr(body)]
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise RtpParseError(f"RTCP packet of type {packet_type}: {error}") from error
    return []


def _parse_blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    blocks: list[ReportBlock] = []
    for index in range(count):
        ssrc, lost, highest, jitter, last, delay = _BLOCK.unpack_from(body, start + index * _BLOCK.size)
        signed = lost & 0xFFFFFF
        signed -= (signed & 0x800000) << 1
        blocks.append(ReportBlock(ssrc, lost >> 24, signed, highest, jitter, last, delay))
    return tuple(blocks)


def _parse_descriptions(body: bytes, count: int) -> list[SourceDescription]:
    """Read the chunks (section 6.5): items of type, length and text, ended by zeros up to a word."""
    descriptions: list[SourceDescription] = []
    start = 0
    for _ in range(count):
        (ssrc,) = struct.unpack_from("!I", body, start)
        start += 4
        while body[start]:
            item, length = body[start], body[start + 1]
            text = body[start + 2 : start + 2 + length]
            if len(text) < length:
                raise RtpParseError("RTCP source description ends within an item")
            if item == _CNAME:
                descriptions.append(SourceDescription(ssrc, text.decode()))
            start += 2 + length
        start += 4 - start % 4
    return descriptions


def build_rtcp(packets: Sequence[RtcpPacket]) -> bytes:
    """Write a compound packet; the first has to be a report."""
    return b"".join(_build_one(packet) for packet in packets)


def _build_one(packet: RtcpPacket) -> bytes:
    if isinstance(packet, SenderReport):
        info = _SENDER_INFO.pack(packet.ntp, packet.rtp_timestamp, packet.packets, packet.octets)
        body = struct.pack("!I", packet.ssrc) + info + _build_blocks(packet.blocks)
        return _with_header(_SENDER_REPORT, len(packet.blocks), body)
    if isinstance(packet, ReceiverReport):
        body = struct.pack("!I", packet.ssrc) + _build_blocks(packet.blocks)
        return _with_header(_RECEIVER_REPORT, len(packet.blocks), body)
    if isinstance(packet, SourceDescription):
        name = packet.cname.encode()
        chunk = struct.pack("!IBB", packet.ssrc, _CNAME, len(name)) + name
        return _with_header(_SOURCE_DESCRIPTION, 1, chunk + bytes(4 - len(chunk) % 4))
    if isinstance(packet, ExtendedReport):
        return _with_header(_EXTENDED_REPORT, 0, build_xr(packet))
    return _with_header(_GOODBYE, len(packet.ssrcs), struct.pack(f"!{len(packet.ssrcs)}I", *packet.ssrcs))


def _with_header(packet_type: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, packet_type, len(body) // 4) + body


def _build_blocks(blocks: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(
        _BLOCK.pack(
            block.ssrc,
            block.fraction_lost << 24 | block.lost & 0xFFFFFF,
            block.highest_sequence,
            block.jitter,
            block.last_sender_report,
            block.delay_since_last,
        )
        for block in blocks
    )
