from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import LocalProtocolError, RtpParseError
from telephony.leg import DigitReceived
from telephony.rtp.dtmf import DIGITS, DtmfReceiver, DtmfSender, TelephoneEvent, build_event, parse_event
from telephony.rtp.packet import RtpPacket


def packet(event: TelephoneEvent, timestamp: int, *, marker: bool = False) -> RtpPacket:
    return RtpPacket(101, 0, timestamp & 0xFFFFFFFF, 1, build_event(event), marker)


def press(digit: str, timestamp: int, *, updates: int = 4, ends: int = 3) -> list[RtpPacket]:
    """Packets every 20 ms of one press, the last repeated."""
    code = DIGITS.index(digit)
    held = [packet(TelephoneEvent(code, False, 10, 160 * n), timestamp, marker=n == 1) for n in range(1, updates + 1)]
    return held + [packet(TelephoneEvent(code, True, 10, 160 * (updates + 1)), timestamp)] * ends


def receive(packets: list[tuple[float, RtpPacket]], *, until: float) -> list[DigitReceived]:
    receiver, digits = DtmfReceiver(), []
    for now, each in packets:
        digits += receiver.handle_timer(now=now)
        digits += receiver.receive(each, now=now)
    return digits + receiver.handle_timer(now=until)


def at_20_ms(packets: list[RtpPacket], *, start: float = 0.0) -> list[tuple[float, RtpPacket]]:
    return [(start + 0.02 * n, each) for n, each in enumerate(packets)]


def test_payload_is_written_as_in_the_rfc() -> None:
    event = TelephoneEvent(event=11, end=True, volume=10, duration=1_760)

    assert build_event(event) == bytes.fromhex("0b8a06e0")
    assert parse_event(build_event(event) + b"more") == event


@given(st.binary(max_size=3))
def test_short_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(RtpParseError, match="not 4"):
        DtmfReceiver().receive(RtpPacket(101, 0, 0, 1, payload), now=0.0)


def test_a_press_is_told_once_at_its_end() -> None:
    receiver = DtmfReceiver()
    told = [receiver.receive(each, now=now) for now, each in at_20_ms(press("5", 1_000))]

    assert told == [[], [], [], [], [DigitReceived("5", 100)], [], []]


@pytest.mark.parametrize("digit", DIGITS)
def test_every_key_has_its_event(digit: str) -> None:
    assert receive(at_20_ms(press(digit, 0)), until=1.0) == [DigitReceived(digit, 100)]


@given(
    kept=st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=6),
    digits=st.text(DIGITS, min_size=6, max_size=6),
    start=st.integers(0, 0xFFFFFFFF),
)
def test_any_pattern_of_loss_that_leaves_one_packet_gives_one_press(
    kept: list[list[bool]], digits: str, start: int
) -> None:
    packets: list[tuple[float, RtpPacket]] = []
    expected = ""
    for index, pattern in enumerate(kept):
        sent = at_20_ms(press(digits[index], start + index * 2_400), start=index * 0.3)
        packets += [each for each, keep in zip(sent, pattern, strict=True) if keep]
        expected += digits[index] if any(pattern) else ""

    assert "".join(told.digit for told in receive(packets, until=100.0)) == expected


@given(st.permutations(range(14)))
def test_any_order_of_the_packets_of_two_presses_gives_two(order: list[int]) -> None:
    sent = press("1", 0) + press("2", 2_400)

    told = receive([(0.001 * n, sent[index]) for n, index in enumerate(order)], until=100.0)

    assert sorted(each.digit for each in told) == ["1", "2"]


def test_lost_ends_are_made_up_by_the_next_press() -> None:
    first, second = press("7", 0)[:3], press("8", 2_400)

    assert receive(at_20_ms(first + second), until=9.0) == [DigitReceived("7", 60), DigitReceived("8", 100)]


def test_lost_ends_are_made_up_by_time() -> None:
    receiver = DtmfReceiver()
    for now, each in at_20_ms(press("7", 0)[:3]):
        receiver.receive(each, now=now)

    assert receiver.timer_at() == pytest.approx(0.24)
    assert receiver.handle_timer(now=0.239) == []
    assert receiver.handle_timer(now=0.241) == [DigitReceived("7", 60)]
    assert receiver.timer_at() is None
    assert receiver.receive(press("7", 0)[-1], now=0.3) == []


def test_a_key_held_beyond_the_longest_event_is_one_press() -> None:
    whole = [packet(TelephoneEvent(3, False, 10, n), 500, marker=n == 160) for n in range(160, 0xFFFF, 160)]
    whole.append(packet(TelephoneEvent(3, False, 10, 0xFFFF), 500))
    rest = [packet(TelephoneEvent(3, n == 1_600, 10, n), 500 + 0xFFFF) for n in range(160, 1_601, 160)]

    assert receive(at_20_ms(whole + rest), until=99.0) == [DigitReceived("3", (0xFFFF + 1_600) // 8)]


def test_next_segment_after_a_gap_is_still_the_same_press() -> None:
    whole = [packet(TelephoneEvent(3, False, 10, n), 500) for n in range(160, 3_200, 160)]
    rest = [packet(TelephoneEvent(3, n == 1_600, 10, n), 500 + 0xFFFF) for n in range(160, 1_601, 160)]

    assert len(receive(at_20_ms(whole) + at_20_ms(rest, start=8.2), until=99.0)) == 1


def test_the_same_key_again_with_a_marker_is_another_press() -> None:
    first = press("3", 500, updates=4)
    second = press("3", 500 + 0xFFFF)

    assert len(receive(at_20_ms(first) + at_20_ms(second, start=8.2), until=99.0)) == 2


def test_tones_that_are_no_key_are_ignored() -> None:
    assert receive([(0.0, packet(TelephoneEvent(16, True, 10, 800), 0))], until=9.0) == []


def run(sender: DtmfSender, *, start: int = 0) -> list[tuple[TelephoneEvent, int, bool] | None]:
    steps: list[tuple[TelephoneEvent, int, bool] | None] = []
    while sender.is_active:
        steps.append(sender.step(timestamp=start + 160 * len(steps)))
    return steps


def test_sent_press_grows_then_ends_three_times_then_pauses() -> None:
    sender = DtmfSender()
    sender.press("#")

    steps = run(sender, start=4_000)

    events = [step for step in steps if step is not None]
    assert [(event.duration, event.end) for event, _, _ in events] == [
        (160, False), (320, False), (480, False), (640, False), (800, True), (800, True), (800, True),
    ]  # fmt: skip
    assert {(event.event, timestamp) for event, timestamp, _ in events} == {(11, 4_000)}
    assert [marker for _, _, marker in events] == [True] + [False] * 6
    assert steps[7:] == [None, None, None]


def test_digits_are_sent_one_after_another_and_counted() -> None:
    sender = DtmfSender()

    assert sender.press("12") == 2
    steps = run(sender)
    assert sender.pressed == 2
    assert sender.press("3") == 3

    starts = [step[1] for step in steps if step is not None and step[2]]
    assert starts == [0, 1_600]


@given(st.text(DIGITS, max_size=20))
def test_what_is_sent_is_received(digits: str) -> None:
    sender = DtmfSender()
    sender.press(digits)

    sent = [
        (0.02 * n, packet(step[0], step[1], marker=step[2])) for n, step in enumerate(run(sender)) if step is not None
    ]

    assert receive(sent, until=100.0) == [DigitReceived(digit, 100) for digit in digits]


def test_what_is_no_key_is_refused_by_name() -> None:
    sender = DtmfSender()

    with pytest.raises(LocalProtocolError, match=r"cannot send \['x'\]"):
        sender.press("1x2")
    assert not sender.is_active


def test_queue_of_digits_is_bounded() -> None:
    sender = DtmfSender()
    sender.press("1" * 60)

    with pytest.raises(LocalProtocolError, match="more than 64 digits"):
        sender.press("12345")
