from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import RtpParseError
from telephony.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    build_rtcp,
    parse_rtcp,
)

U32 = st.integers(0, 0xFFFFFFFF)
BLOCKS = st.lists(
    st.builds(ReportBlock, U32, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), U32, U32, U32, U32),
    max_size=31,
).map(tuple)
REPORTS = st.one_of(
    st.builds(SenderReport, U32, st.integers(0, 2**64 - 1), U32, U32, U32, BLOCKS),
    st.builds(ReceiverReport, U32, BLOCKS),
)
OTHERS = st.one_of(
    st.builds(SourceDescription, U32, st.text(max_size=60)),
    st.builds(Goodbye, st.lists(U32, max_size=31).map(tuple)),
    REPORTS,
)
REPORT = build_rtcp([ReceiverReport(7)])


@given(REPORTS, st.lists(OTHERS, max_size=4))
def test_what_is_built_is_parsed_again(report: RtcpPacket, others: list[RtcpPacket]) -> None:
    data = build_rtcp([report, *others])

    assert len(data) % 4 == 0
    assert parse_rtcp(data) == [report, *others]


def test_report_with_description_is_written_as_in_the_rfc() -> None:
    block = ReportBlock(0x01020304, 64, -2, 0x10005, 9, 0xAABBCCDD, 65_536)

    assert build_rtcp([ReceiverReport(0x11223344, (block,)), SourceDescription(0x11223344, "abc")]).hex() == (
        "81c90007112233440102030440fffffe0001000500000009aabbccdd0001000081ca0003112233440103616263000000"
    )


def test_other_types_and_other_items_are_passed_over() -> None:
    app = bytes([0x80, 204, 0, 2]) + b"\0\0\0\1name"
    tool = struct.pack("!BBH", 0x81, 202, 5) + b"\0\0\0\1" + b"\x06\x04tool" + b"\x01\x02me" + bytes(6)

    assert parse_rtcp(REPORT + app + tool) == [ReceiverReport(7), SourceDescription(1, "me")]


def test_description_of_two_sources_is_read() -> None:
    chunks = b"\0\0\0\1\x01\x01a\0" + b"\0\0\0\2\x01\x02bc\0\0\0\0"
    data = struct.pack("!BBH", 0x82, 202, len(chunks) // 4) + chunks

    assert parse_rtcp(REPORT + data)[1:] == [SourceDescription(1, "a"), SourceDescription(2, "bc")]


def test_padding_of_the_last_packet_is_taken_off() -> None:
    goodbye = bytes([0xA1, 203, 0, 2]) + b"\0\0\0\5" + b"\0\0\0\4"

    assert parse_rtcp(REPORT + goodbye) == [ReceiverReport(7), Goodbye((5,))]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\xc9",
        build_rtcp([Goodbye((1,))]),  # no report first
        REPORT + b"\x80",
        REPORT + bytes([0x40, 203, 0, 0]),  # version 1
        REPORT + bytes([0x80, 203, 0, 9]),  # longer than the datagram
        REPORT + bytes([0xA0, 203, 0, 1, 0, 0, 0, 0]),  # padding of 0
        REPORT + bytes([0xA0, 203, 0, 1, 0, 0, 0, 5]),  # padding beyond the packet
        REPORT + bytes([0xA0, 203, 0, 0]),  # padding of nothing
        bytes([0xA0, 201, 0, 2]) + b"\0\0\0\1" + b"\0\0\0\4" + REPORT,  # padding before the end
        bytes([0x81, 201, 0, 1]) + b"\0\0\0\1",  # a block is missing
        bytes([0x80, 200, 0, 1]) + b"\0\0\0\1",  # the sender's figures are missing
        REPORT + bytes([0x82, 203, 0, 1]) + b"\0\0\0\1",  # a source is missing
        REPORT + bytes([0x81, 202, 0, 2]) + b"\0\0\0\1" + b"\x01\x09ab",  # an item ends early
        REPORT + bytes([0x81, 202, 0, 2]) + b"\0\0\0\1" + b"\x01\x02ab",  # no zero after the items
        REPORT + bytes([0x81, 202, 0, 2]) + b"\0\0\0\1" + b"\x01\x01\xff\0",  # no UTF-8
        REPORT + bytes([0x81, 202, 0, 0]),  # a chunk is missing
    ],
)
def test_what_is_no_whole_compound_is_refused(data: bytes) -> None:
    with pytest.raises(RtpParseError):
        parse_rtcp(data)


@given(st.binary(max_size=120), st.booleans())
def test_noise_is_parsed_or_refused_but_never_breaks(noise: bytes, after_report: bool) -> None:
    try:
        read = parse_rtcp(REPORT + noise if after_report else noise)
    except RtpParseError:
        return
    assert isinstance(read[0], SenderReport | ReceiverReport)  # RFC 3550 appendix A.2


@given(REPORTS, st.lists(OTHERS, max_size=3), st.data())
def test_a_damaged_compound_is_parsed_or_refused_but_never_breaks(
    report: RtcpPacket, others: list[RtcpPacket], draw: st.DataObject
) -> None:
    data = bytearray(build_rtcp([report, *others]))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        read = parse_rtcp(bytes(data[: draw.draw(st.integers(0, len(data)))]))
    except RtpParseError:
        return
    assert isinstance(read[0], SenderReport | ReceiverReport)
