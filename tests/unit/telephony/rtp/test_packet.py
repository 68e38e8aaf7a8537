from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import RtpParseError
from telephony.rtp.packet import RtpPacket, build_plain_rtp, is_rtcp, parse_rtp
from tests.fakes.rtp_packet import build_rtp

PACKETS = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=400),
    marker=st.booleans(),
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    extension=st.none() | st.tuples(st.integers(0, 0xFFFF), st.integers(0, 20).map(lambda words: b"wxyz" * words)),
)


def test_plain_packet_is_written_as_in_the_rfc() -> None:
    packet = RtpPacket(8, 0x1234, 0x11223344, 0xAABBCCDD, b"\xd5" * 2, marker=True)

    assert build_rtp(packet) == bytes.fromhex("8088123411223344aabbccddd5d5")


@given(PACKETS)
def test_what_is_built_is_parsed_again(packet: RtpPacket) -> None:
    assert parse_rtp(build_rtp(packet)) == packet


@given(PACKETS, st.integers(1, 255))
def test_padding_is_taken_off(packet: RtpPacket, padding: int) -> None:
    data = bytearray(build_rtp(packet))
    data[0] |= 0x20

    assert parse_rtp(bytes(data) + bytes(padding - 1) + bytes([padding])) == packet


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "shorter than its header"),
        ("8000" + "00" * 9, "shorter than its header"),
        ("0000" + "00" * 10, "version 0"),
        ("4000" + "00" * 10, "version 1"),
        ("c000" + "00" * 10, "version 3"),
        ("8100" + "00" * 13, "within its CSRC list"),
        ("9000" + "00" * 13, "within its extension's header"),
        ("9000" + "00" * 10 + "bede0002" + "00" * 7, "within its extension"),
        ("a000" + "00" * 10 + "0000", "padding of 0 bytes"),
        ("a000" + "00" * 10 + "000004", "padding of 4 bytes in 3"),
        ("a000" + "00" * 9 + "0c", "padding of 12 bytes in 0"),
    ],
)
def test_what_is_no_whole_packet_is_refused(data: str, message: str) -> None:
    with pytest.raises(RtpParseError, match=message):
        parse_rtp(bytes.fromhex(data))


@given(st.binary(max_size=100))
def test_noise_is_parsed_or_refused_but_never_breaks(data: bytes) -> None:
    try:
        packet = parse_rtp(data)
    except RtpParseError:
        return
    assert len(packet.payload) <= len(data) - 12


@given(PACKETS, st.data())
def test_a_damaged_packet_is_parsed_or_refused_but_never_breaks(packet: RtpPacket, draw: st.DataObject) -> None:
    data = bytearray(build_rtp(packet))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    cut = bytes(data[: draw.draw(st.integers(0, len(data)))])
    try:
        read = parse_rtp(cut)
    except RtpParseError:
        return
    assert parse_rtp(build_rtp(read)) == read


@pytest.mark.parametrize(
    ("second", "rtcp"), [(200, True), (203, True), (223, True), (8, False), (136, False), (127, False)]
)
def test_rtcp_is_told_by_its_packet_type(second: int, rtcp: bool) -> None:
    assert is_rtcp(bytes([0x80, second, 0, 0])) is rtcp


def test_one_byte_is_no_rtcp() -> None:
    assert not is_rtcp(b"\x80")


@given(st.integers(0, 127), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=40), st.booleans())
def test_a_plain_packet_is_written_as_any_other(
    payload_type: int, sequence: int, timestamp: int, payload: bytes, marker: bool
) -> None:
    short = build_plain_rtp(payload_type, sequence, timestamp, 7, payload, marker=marker)

    assert short == build_rtp(RtpPacket(payload_type, sequence, timestamp, 7, payload, marker))
