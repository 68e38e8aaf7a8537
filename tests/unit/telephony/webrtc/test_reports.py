from __future__ import annotations

import pytest

from telephony.rtp.packet import RtpPacket
from telephony.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    build_rtcp,
    parse_rtcp,
)
from telephony.webrtc.reports import Reports

OURS, THEIRS = 7, 9


def packet(number: int, *, ssrc: int = THEIRS) -> RtpPacket:
    return RtpPacket(111, number, number * 960, ssrc, b"x")


def report(reports: Reports, *, now: float) -> SenderReport:
    data = reports.build(timestamp=960, packets=2, octets=90, now=now, wall_clock_s=1_700_000_000 + now)
    head, description = parse_rtcp(data)
    assert isinstance(head, SenderReport)
    assert description == SourceDescription(OURS, "zeng")
    return head


def test_our_report_says_what_was_sent_and_when() -> None:
    head = report(Reports(ssrc=OURS), now=0.5)
    assert (head.ssrc, head.rtp_timestamp, head.packets, head.octets, head.blocks) == (OURS, 960, 2, 90, ())
    assert head.ntp / (1 << 32) == pytest.approx(1_700_000_000.5 + 2_208_988_800, abs=1e-6)


def test_a_report_is_sent_after_the_clock_of_ntp_has_wrapped_too() -> None:
    in_2040 = 2_208_988_800
    data = Reports(ssrc=OURS).build(timestamp=960, packets=2, octets=90, now=0.0, wall_clock_s=in_2040)
    head = parse_rtcp(data)[0]
    assert isinstance(head, SenderReport)
    assert head.ntp >> 32 == 2 * in_2040 - (1 << 32)


def test_our_report_says_what_of_theirs_was_lost() -> None:
    reports = Reports(ssrc=OURS)
    for number in (1, 2, 4, 5):
        reports.count(packet(number), now=number * 0.02)
    (block,) = report(reports, now=1.0).blocks
    assert (block.ssrc, block.lost, block.highest_sequence) == (THEIRS, 1, 5)
    assert block.fraction_lost == 256 // 5
    assert reports.lost == 1


def test_loss_of_an_earlier_stream_is_kept_when_the_source_changes() -> None:
    reports = Reports(ssrc=OURS)
    for number in (1, 3):
        reports.count(packet(number), now=number * 0.02)
    for number in (50, 53):
        reports.count(packet(number, ssrc=11), now=number * 0.02)
    assert reports.lost == 3


def test_jitter_is_that_of_the_arrivals() -> None:
    reports = Reports(ssrc=OURS)
    assert reports.jitter_ms == 0
    assert reports.lost == 0
    for number in range(200):
        reports.count(packet(number), now=number * 0.02 + (0.01 if number % 2 else 0))
    assert reports.jitter_ms == pytest.approx(10, rel=0.1)


def test_their_report_is_answered_with_its_time_and_how_long_ago_it_came() -> None:
    reports = Reports(ssrc=OURS)
    reports.count(packet(1), now=0.0)
    theirs = SenderReport(THEIRS, 0x1234_5678_9ABC_DEF0, 960, 1, 1)
    reports.receive(build_rtcp([theirs, SourceDescription(THEIRS, "x"), Goodbye((THEIRS,))]), now=1.0)
    (block,) = report(reports, now=1.5).blocks
    assert (block.last_sender_report, block.delay_since_last) == (0x5678_9ABC, 32_768)


def test_a_report_of_a_source_that_is_not_heard_is_not_answered() -> None:
    reports = Reports(ssrc=OURS)
    reports.receive(build_rtcp([SenderReport(THEIRS, 1 << 40, 960, 1, 1)]), now=1.0)
    reports.count(packet(1), now=1.0)
    reports.receive(build_rtcp([SenderReport(12345, 1 << 40, 960, 1, 1)]), now=1.0)
    (block,) = report(reports, now=1.5).blocks
    assert block.last_sender_report == 0


def test_the_round_trip_is_what_is_left_of_the_time_since_our_report() -> None:
    reports = Reports(ssrc=OURS)
    report(reports, now=1.0)
    sent = report(reports, now=2.0)
    answer = ReportBlock(OURS, 26, 3, 5, 0, sent.ntp >> 16 & 0xFFFFFFFF, 65_536 // 2)
    reports.receive(build_rtcp([ReceiverReport(THEIRS, (answer,))]), now=2.58)
    assert reports.round_trip_ms == pytest.approx(80, abs=0.1)
    assert reports.loss_percent == 10


def test_blocks_about_others_and_about_reports_never_sent_teach_nothing() -> None:
    reports = Reports(ssrc=OURS)
    other = ReportBlock(555, 128, 3, 5, 0, 1, 0)
    unknown = ReportBlock(OURS, 0, 0, 5, 0, 99, 0)
    reports.receive(build_rtcp([ReceiverReport(THEIRS, (other, unknown))]), now=1.0)
    assert reports.round_trip_ms is None
    assert reports.loss_percent == 0


@pytest.mark.parametrize("data", [b"", b"\x80\xc8\x00\x00", b"junk", bytes(40)])
def test_what_is_no_rtcp_is_passed_over(data: bytes) -> None:
    reports = Reports(ssrc=OURS)
    reports.receive(data, now=1.0)
    assert reports.round_trip_ms is None


def test_the_goodbye_names_our_stream() -> None:
    head, goodbye = parse_rtcp(Reports(ssrc=OURS).build_goodbye())
    assert head == ReceiverReport(OURS)
    assert goodbye == Goodbye((OURS,))


def test_a_call_is_rated_here_by_loss_delay_and_what_came_too_late() -> None:
    reports = Reports(ssrc=OURS)
    assert reports.mos_here(late=0, playout_delay_ms=40) is None
    for number in range(100):
        reports.count(packet(number), now=number * 0.02)
    clean = reports.mos_here(late=0, playout_delay_ms=40)
    assert clean == pytest.approx(4.41, abs=0.01)
    delayed = reports.mos_here(late=0, playout_delay_ms=400)
    late = reports.mos_here(late=1, playout_delay_ms=40)
    for number in range(105, 200):
        reports.count(packet(number), now=number * 0.02)
    lossy = reports.mos_here(late=0, playout_delay_ms=40)
    assert clean > late > lossy > delayed > 1


def test_the_rating_goes_on_when_the_source_changes() -> None:
    reports = Reports(ssrc=OURS)
    for number in (*range(50), *range(60, 100)):
        reports.count(packet(number), now=number * 0.02)
    before = reports.mos_here(late=0, playout_delay_ms=40)
    reports.count(packet(7, ssrc=11), now=3.0)
    assert before is not None
    assert before < (reports.mos_here(late=0, playout_delay_ms=40) or 0) < 4.3


def test_the_far_side_is_rated_by_what_it_reports() -> None:
    reports = Reports(ssrc=OURS)
    assert reports.mos_there() is None
    reports.receive(build_rtcp([ReceiverReport(THEIRS, (ReportBlock(OURS, 0, 0, 9, 480, 0, 0),))]), now=1.0)
    clean = reports.mos_there()
    reports.receive(build_rtcp([ReceiverReport(THEIRS, (ReportBlock(OURS, 26, 0, 9, 480, 0, 0),))]), now=2.0)
    lossy = reports.mos_there()
    assert clean is not None
    assert lossy is not None
    assert clean > 4.3
    assert lossy < 3.6
    assert (reports.loss_percent, reports.jitter_there_ms) == (10, 10)
