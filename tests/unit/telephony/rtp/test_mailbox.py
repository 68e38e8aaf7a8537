from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telephony.audio.g711 import A_LAW
from telephony.leg import DigitReceived, FramesDropped
from telephony.rtp.depacketizer import CodedFrame
from telephony.rtp.mailbox import Mailbox


def frame(number: int) -> CodedFrame:
    return CodedFrame(A_LAW, (), number * 20)


def test_audio_comes_out_in_order() -> None:
    mailbox = Mailbox(audio_frames=10)
    for number in range(3):
        mailbox.put_audio(frame(number))

    assert [mailbox.get() for _ in range(4)] == [frame(0), frame(1), frame(2), None]


def test_old_audio_gives_way_and_the_bot_is_told_how_much() -> None:
    mailbox = Mailbox(audio_frames=2)
    for number in range(5):
        mailbox.put_audio(frame(number))

    assert [mailbox.get() for _ in range(4)] == [FramesDropped(3), frame(3), frame(4), None]


def test_other_events_pass_by_waiting_audio_and_are_never_dropped_for_it() -> None:
    mailbox = Mailbox(audio_frames=1)
    mailbox.put(DigitReceived("1", 100))
    for number in range(3):
        mailbox.put_audio(frame(number))

    assert [mailbox.get() for _ in range(3)] == [DigitReceived("1", 100), FramesDropped(2), frame(2)]


def test_a_flood_of_digits_is_bounded() -> None:
    mailbox = Mailbox(audio_frames=1)
    for number in range(1_000):
        mailbox.put(DigitReceived("1", number))

    events = [mailbox.get() for _ in range(200)]

    assert sum(event is not None for event in events) == 128
    assert events[127] == DigitReceived("1", 999)


@given(st.lists(st.booleans(), max_size=300))
def test_every_frame_is_got_or_told_as_dropped(steps: list[bool]) -> None:
    mailbox, put, got, dropped = Mailbox(audio_frames=5), 0, 0, 0
    for is_put in [*steps, *[False] * 10]:
        if is_put:
            mailbox.put_audio(frame(put))
            put += 1
        else:
            event = mailbox.get()
            dropped += event.count if isinstance(event, FramesDropped) else 0
            if isinstance(event, CodedFrame):
                assert event.media_time_ms == (got + dropped) * 20
                got += 1

    assert put == got + dropped
