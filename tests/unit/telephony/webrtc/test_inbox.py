from __future__ import annotations

from telephony.leg import AudioReceived, DigitReceived, EndCause, FramesDropped, LegEnded, MessageReceived
from telephony.webrtc.inbox import MAX_FRAMES, MAX_MESSAGES, Inbox


def frame(number: int) -> AudioReceived:
    return AudioReceived(bytes(640), number * 20)


def test_frames_come_in_their_order_and_nothing_after_them() -> None:
    inbox = Inbox()
    for number in range(3):
        inbox.put_frame(frame(number))
    assert [inbox.take() for _ in range(4)] == [frame(0), frame(1), frame(2), None]


def test_a_key_press_passes_by_the_audio_that_waits() -> None:
    inbox = Inbox()
    inbox.put_frame(frame(0))
    inbox.put_message(DigitReceived("1", 100))
    assert inbox.take() == DigitReceived("1", 100)
    assert inbox.take() == frame(0)


def test_the_oldest_frames_give_way_and_the_bot_is_told_once_how_many() -> None:
    inbox = Inbox()
    for number in range(MAX_FRAMES + 7):
        inbox.put_frame(frame(number))
    assert inbox.take() == FramesDropped(7)
    assert inbox.take() == frame(7)


def test_messages_beyond_the_bound_are_refused() -> None:
    inbox = Inbox()
    for number in range(MAX_MESSAGES + 3):
        inbox.put_message(MessageReceived(str(number)))
    taken = [inbox.take() for _ in range(MAX_MESSAGES + 1)]
    assert taken == [*(MessageReceived(str(number)) for number in range(MAX_MESSAGES)), None]


def test_the_end_comes_last_and_only_the_first_counts() -> None:
    inbox = Inbox()
    inbox.put_frame(frame(0))
    assert inbox.ended is None
    assert inbox.end(LegEnded(EndCause.CALLER_HUNG_UP))
    assert not inbox.end(LegEnded(EndCause.FAILED))
    assert [inbox.take(), inbox.take()] == [frame(0), LegEnded(EndCause.CALLER_HUNG_UP)]
    assert inbox.ended == LegEnded(EndCause.CALLER_HUNG_UP)


def test_nothing_is_taken_in_after_the_end() -> None:
    inbox = Inbox()
    inbox.end(LegEnded(EndCause.CALLER_HUNG_UP))
    inbox.put_frame(frame(0))
    inbox.put_message(MessageReceived("late"))
    assert inbox.take() == LegEnded(EndCause.CALLER_HUNG_UP)
