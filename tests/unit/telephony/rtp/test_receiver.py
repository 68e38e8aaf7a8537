from __future__ import annotations

from dataclasses import replace

import pytest

from telephony.leg import DigitReceived
from telephony.media import MediaParameters, MediaTimedOut
from telephony.rtp.dtmf import TelephoneEvent, build_event
from telephony.rtp.packet import RtpPacket
from telephony.rtp.receiver import AudioArrived, RtpReceiver, SessionEvent, StreamChanged
from telephony.rtp.source import Address
from tests.fakes.rtp_packet import build_rtp

PEER: Address = ("192.0.2.1", 4000)


def parameters(*, receive: bool = True, dtmf: int | None = 101) -> MediaParameters:
    return MediaParameters("192.0.2.1", 4000, "PCMA", 8, dtmf, receive=receive)


def receiver(*, receive: bool = True, dtmf: int | None = 101) -> RtpReceiver:
    ours = RtpReceiver(silence_timeout_s=30.0)
    ours.agree(parameters(receive=receive, dtmf=dtmf), named=PEER, now=0.0)
    return ours


def rtp(
    number: int, *, payload_type: int = 8, ssrc: int = 1, payload: bytes = b"\xd5" * 160, timestamp: int = 0
) -> bytes:
    return build_rtp(RtpPacket(payload_type, number & 0xFFFF, timestamp or number * 160, ssrc, payload))


def drain(ours: RtpReceiver) -> list[SessionEvent]:
    events: list[SessionEvent] = []
    while (event := ours.poll()) is not None:
        events.append(event)
    return events


def numbers(events: list[SessionEvent]) -> list[int]:
    return [event.packet.sequence for event in events if isinstance(event, AudioArrived)]


def test_audio_of_the_peer_is_told_with_its_arrival() -> None:
    ours = receiver()
    ours.receive(rtp(5), PEER, now=1.5)

    (event,) = drain(ours)

    assert isinstance(event, AudioArrived)
    assert (event.packet.sequence, event.arrived) == (5, 1.5)
    assert ours.received == 1


def test_nothing_is_taken_before_the_agreement() -> None:
    ours = RtpReceiver(silence_timeout_s=30.0)
    ours.receive(rtp(5), PEER, now=0.0)
    ours.handle_timer(now=1e9)

    assert drain(ours) == []
    assert (ours.received, ours.lost) == (0, 0)


@pytest.mark.parametrize("data", [b"noise", rtp(5, payload_type=97), b"\x40" + rtp(5)[1:]])
def test_what_is_not_our_rtp_is_counted_and_forgotten(data: bytes) -> None:
    ours = receiver()
    ours.receive(data, PEER, now=0.0)

    assert drain(ours) == []
    assert ours.malformed == 1


def test_injected_packets_of_another_address_are_not_heard() -> None:
    ours = receiver()
    for number in range(50):
        ours.receive(rtp(number), PEER, now=number * 0.02)
        ours.receive(rtp(number, ssrc=66), ("203.0.113.9", 666), now=number * 0.02)

    assert numbers(drain(ours)) == list(range(50))
    assert ours.source.refused == 50


def test_empty_packets_keep_the_line_alive_without_audio() -> None:
    ours = receiver()
    ours.receive(rtp(5, payload=b""), PEER, now=29.0)
    ours.handle_timer(now=31.0)

    assert drain(ours) == []
    assert ours.received == 1


def test_comfort_noise_keeps_the_line_alive_and_is_told_as_such() -> None:
    ours = receiver()
    ours.receive(rtp(5), PEER, now=28.0)
    ours.receive(rtp(6, payload_type=13, payload=b"\x40"), PEER, now=29.0)
    ours.handle_timer(now=58.5)

    events = drain(ours)

    assert numbers(events) == [5, 6]
    assert [event.is_noise for event in events if isinstance(event, AudioArrived)] == [False, True]
    assert ours.received == 2


def test_second_packet_of_another_ssrc_changes_the_stream() -> None:
    ours = receiver()
    for number in range(3):
        ours.receive(rtp(number), PEER, now=number * 0.02)
    for number in range(700, 703):
        ours.receive(rtp(number, ssrc=2), PEER, now=1.0)

    events = drain(ours)

    assert numbers(events) == [0, 1, 2, 700, 701, 702]
    assert events.index(StreamChanged()) == 3
    assert (ours.received, ours.lost) == (6, 0)


def test_stray_packets_of_other_streams_do_not_cut_the_present_one() -> None:
    ours = receiver()
    for number in range(10):
        ours.receive(rtp(number), PEER, now=number * 0.02)
        ours.receive(rtp(number + 900, ssrc=2), PEER, now=number * 0.02)
    ours.receive(rtp(1, ssrc=3), PEER, now=0.3)
    ours.receive(rtp(2, ssrc=4), PEER, now=0.3)

    assert numbers(drain(ours)) == list(range(10))


def test_loss_of_earlier_streams_is_kept() -> None:
    ours = receiver()
    for number in (0, 1, 5):
        ours.receive(rtp(number), PEER, now=0.0)
    for number in (70, 71, 73):
        ours.receive(rtp(number, ssrc=2), PEER, now=1.0)

    assert (ours.received, ours.lost) == (6, 4)


@pytest.mark.parametrize("ssrc", [1, 2])
def test_key_presses_are_told_also_under_an_ssrc_of_their_own(ssrc: int) -> None:
    ours = receiver()
    ours.receive(rtp(0), PEER, now=0.0)
    payload = build_event(TelephoneEvent(5, True, 10, 800))
    for number in range(1, 4):
        ours.receive(rtp(number, payload_type=101, ssrc=ssrc, payload=payload, timestamp=9), PEER, now=0.1)

    assert drain(ours)[1:] == [DigitReceived("5", 100)]
    assert ours.lost == 0


def test_press_without_end_is_told_in_time() -> None:
    ours = receiver()
    ours.receive(rtp(1, payload_type=101, payload=build_event(TelephoneEvent(5, False, 10, 800))), PEER, now=0.1)
    ours.handle_timer(now=0.4)

    assert drain(ours) == [DigitReceived("5", 100)]


def test_malformed_event_is_counted() -> None:
    ours = receiver()
    ours.receive(rtp(1, payload_type=101, payload=b"\x05"), PEER, now=0.1)

    assert drain(ours) == []
    assert ours.malformed == 1


def test_telephone_event_that_was_not_agreed_is_not_taken() -> None:
    ours = receiver(dtmf=None)
    ours.receive(rtp(1, payload_type=101, payload=build_event(TelephoneEvent(5, True, 10, 800))), PEER, now=0.1)

    assert drain(ours) == []


def test_dead_line_is_told_once_and_again_after_it_lived() -> None:
    ours = receiver()
    ours.handle_timer(now=29.9)
    assert drain(ours) == []

    ours.handle_timer(now=30.0)
    ours.handle_timer(now=31.0)
    assert drain(ours) == [MediaTimedOut()]

    ours.receive(rtp(1), PEER, now=40.0)
    ours.handle_timer(now=70.0)
    assert drain(ours)[1:] == [MediaTimedOut()]


def test_strangers_do_not_keep_a_dead_line_alive() -> None:
    ours = receiver()
    ours.receive(rtp(1), PEER, now=0.0)
    ours.receive(rtp(2), ("203.0.113.9", 666), now=4.0)
    drain(ours)

    ours.handle_timer(now=30.0)

    assert drain(ours) == [MediaTimedOut()]


def test_on_hold_nothing_is_heard_and_no_line_is_dead() -> None:
    ours = receiver()
    ours.agree(parameters(receive=False), named=PEER, now=1.0)
    ours.receive(rtp(1), PEER, now=2.0)
    ours.handle_timer(now=1_000.0)

    assert drain(ours) == []


def test_what_comes_during_a_hold_or_under_no_agreed_payload_type_is_not_lost() -> None:
    ours = receiver()
    ours.receive(rtp(1), PEER, now=0.0)
    ours.agree(parameters(receive=False), named=PEER, now=0.0)
    for number in range(2, 52):
        ours.receive(rtp(number), PEER, now=1.0)  # music on hold
    ours.agree(parameters(), named=PEER, now=2.0)
    ours.receive(rtp(52, payload_type=20, payload=b""), PEER, now=2.0)  # a keep-alive
    ours.receive(rtp(53), PEER, now=2.0)
    ours.receive(rtp(99, payload_type=20), ("192.0.2.9", 4000), now=2.0)  # a stranger's

    assert numbers(drain(ours)) == [1, 53]
    assert (ours.received, ours.lost, ours.malformed) == (53, 0, 2)


def test_after_a_hold_the_stream_begins_anew() -> None:
    ours = receiver()
    ours.agree(parameters(receive=False), named=PEER, now=1.0)
    ours.agree(parameters(), named=PEER, now=100.0)
    ours.handle_timer(now=129.0)
    assert drain(ours) == [StreamChanged()]

    ours.handle_timer(now=130.0)
    assert drain(ours) == [MediaTimedOut()]


def test_the_same_agreement_again_does_not_put_off_the_timeout() -> None:
    ours = receiver()
    ours.agree(parameters(), named=PEER, now=20.0)
    ours.handle_timer(now=30.0)

    assert drain(ours) == [MediaTimedOut()]


def test_another_codec_counts_anew_and_keeps_what_was_counted() -> None:
    ours = receiver()
    for number in (0, 1, 4):
        ours.receive(rtp(number), PEER, now=0.0)
    ours.agree(replace(parameters(), codec="opus", payload_type=111), named=PEER, now=1.0)
    for number in (5, 6):
        ours.receive(rtp(number, payload_type=111), PEER, now=1.0)

    assert (ours.received, ours.lost) == (5, 2)
    assert ours.reception is not None
    assert ours.reception.clock_hz == 48_000


def test_packets_by_the_numbers_of_our_offer_are_taken_as_those_of_the_answer() -> None:
    ours = RtpReceiver(silence_timeout_s=30.0)
    agreed = MediaParameters("192.0.2.1", 4000, "opus", 96, 97, dtmf_clock_hz=48_000)
    ours.agree(replace(agreed, own_numbers=((111, 96), (101, 97))), named=PEER, now=0.0)
    press = build_event(TelephoneEvent(event=5, end=True, volume=10, duration=4_800))
    for number, payload_type in enumerate((96, 111)):
        ours.receive(rtp(number, payload_type=payload_type), PEER, now=0.0)
    ours.receive(rtp(2, payload_type=101, payload=press), PEER, now=0.1)

    first, second, digit = drain(ours)
    assert numbers([first, second]) == [0, 1]
    assert digit == DigitReceived("5", 100)
    assert ours.malformed == 0
