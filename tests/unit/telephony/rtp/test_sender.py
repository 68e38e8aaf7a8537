from __future__ import annotations

from telephony.rtp.packet import parse_rtp
from telephony.rtp.sender import RtpSender


def test_numbers_and_time_go_on_and_wrap() -> None:
    sender = RtpSender(ssrc=9, sequence=0xFFFF, timestamp=0xFFFFFFFF - 100)

    first, second = (parse_rtp(sender.audio(8, b"\xd5" * 160)) for _ in range(2))

    assert (first.sequence, second.sequence) == (0xFFFF, 0)
    assert (second.timestamp - first.timestamp) & 0xFFFFFFFF == 160
    assert (first.ssrc, first.payload_type, first.payload) == (9, 8, b"\xd5" * 160)


def test_marker_stands_only_after_time_without_packets() -> None:
    sender = RtpSender(ssrc=9, sequence=0, timestamp=0)

    markers = [parse_rtp(sender.audio(0, b"x" * 160)).marker for _ in range(3)]
    sender.skip(800)
    after = [parse_rtp(sender.audio(0, b"x" * 160)) for _ in range(2)]

    assert markers == [True, False, False]
    assert [packet.marker for packet in after] == [True, False]
    assert after[0].timestamp == 3 * 160 + 800


def test_event_has_its_own_timestamp_and_shares_the_numbers() -> None:
    sender = RtpSender(ssrc=9, sequence=5, timestamp=0)
    sender.audio(0, b"x" * 160)

    event = parse_rtp(sender.event(101, b"\x01\x0a\x00\xa0", timestamp=77, marker=True))

    assert (event.sequence, event.timestamp, event.marker, event.payload_type) == (6, 77, True, 101)
    assert sender.timestamp == 160


def test_packets_and_octets_are_counted() -> None:
    sender = RtpSender(ssrc=9, sequence=5, timestamp=0)
    sender.audio(0, b"x" * 160)
    sender.event(101, b"1234", timestamp=0, marker=False)

    assert (sender.packets, sender.octets) == (2, 164)


def test_a_packet_may_last_as_long_as_its_codec_says() -> None:
    sender = RtpSender(ssrc=9, sequence=5, timestamp=0)
    sender.audio(111, b"x" * 40, duration=960)

    assert parse_rtp(sender.audio(111, b"x" * 50, duration=960)).timestamp == 960


def test_comfort_noise_begins_a_silence() -> None:
    sender = RtpSender(ssrc=9, sequence=5, timestamp=0)
    sender.audio(0, b"x" * 160)

    noise, after = parse_rtp(sender.noise(13, b"\x46", duration=160)), parse_rtp(sender.audio(0, b"x" * 160))

    assert (noise.payload_type, noise.timestamp, noise.marker) == (13, 160, False)
    assert (after.timestamp, after.marker) == (320, True)
