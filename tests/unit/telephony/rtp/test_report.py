from __future__ import annotations

import pytest

from telephony.rtp.reception import Reception
from telephony.rtp.report import Reporter
from telephony.rtp.rtcp import Goodbye, ReceiverReport, SenderReport, SourceDescription
from telephony.rtp.sender import RtpSender

WALL = 1_800_000_000.0


def reporter(*, dice: float = 0.5) -> Reporter:
    return Reporter(cname="zeng", wall_offset_s=WALL, dice=lambda: dice)


def sender(ssrc: int = 1) -> RtpSender:
    return RtpSender(ssrc=ssrc, sequence=0, timestamp=4_000)


def test_no_report_is_due_before_the_start() -> None:
    assert reporter().timer_at() is None


@pytest.mark.parametrize(("dice", "interval_s"), [(0.0, 2.5 / 1.21828), (1.0, 7.5 / 1.21828)])
def test_reports_are_due_at_random_around_five_seconds_the_first_sooner(dice: float, interval_s: float) -> None:
    ours = reporter(dice=dice)

    ours.start(now=100.0)
    assert ours.timer_at() == pytest.approx(100.0 + interval_s / 2)
    ours.report(sender(), None, now=103.0)
    assert ours.timer_at() == pytest.approx(103.0 + interval_s)


def test_who_has_sent_reports_as_sender_else_as_receiver() -> None:
    ours, sending = reporter(), sender()
    sending.audio(0, b"x" * 160)

    first, description = ours.report(sending, None, now=10.5)
    second, _ = ours.report(sending, None, now=15.5)

    assert first == SenderReport(1, int((WALL + 10.5 + 2_208_988_800) * 2**32), 4_160, 1, 160)
    assert description == SourceDescription(1, "zeng")
    assert second == ReceiverReport(1)


def test_goodbye_ends_a_whole_compound() -> None:
    assert reporter().goodbye(sender(), None, now=1.0) == [
        ReceiverReport(1),
        SourceDescription(1, "zeng"),
        Goodbye((1,)),
    ]


def test_block_tells_the_last_sender_report_and_its_age() -> None:
    ours = reporter()
    ours.receive([SenderReport(2, 0x1122334455667788, 0, 0, 0)], our_ssrc=1, now=10.0)
    reception = Reception(2, 8_000)
    reception.update(5, timestamp=0, now=10.0)

    (report, _) = ours.report(sender(), reception, now=12.0)

    assert isinstance(report, ReceiverReport)
    assert report.blocks[0].last_sender_report == 0x33445566
    assert report.blocks[0].delay_since_last == 2 * 65_536


def test_without_a_sender_report_the_block_says_so() -> None:
    (report, _) = reporter().report(sender(), Reception(2, 8_000), now=12.0)

    assert isinstance(report, ReceiverReport)
    assert (report.blocks[0].last_sender_report, report.blocks[0].delay_since_last) == (0, 0)


def test_two_reporters_measure_the_round_trip() -> None:
    left, right = reporter(), reporter()
    left_sender, right_reception = sender(1), Reception(1, 8_000)
    left_sender.audio(0, b"x")

    right.receive(left.report(left_sender, None, now=10.0), our_ssrc=2, now=10.040)
    left.receive(right.report(sender(2), right_reception, now=13.0), our_ssrc=1, now=13.030)

    assert left.round_trip_s == pytest.approx(0.070, abs=0.001)
    assert right.round_trip_s is None


def test_block_about_another_or_with_an_impossible_clock_measures_nothing() -> None:
    left, right = reporter(), reporter()
    left_sender = sender(1)
    left_sender.audio(0, b"x")
    right.receive(left.report(left_sender, None, now=10.0), our_ssrc=2, now=10.0)
    answer = right.report(sender(2), Reception(1, 8_000), now=13.0)

    left.receive(answer, our_ssrc=99, now=13.0)
    left.receive(answer, our_ssrc=1, now=9.0)
    left.receive([SourceDescription(2, "x")], our_ssrc=1, now=13.0)

    assert left.round_trip_s is None
