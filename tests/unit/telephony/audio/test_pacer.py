from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.audio.pacer import Due, Pacer


def frame(number: int) -> bytes:
    return b"%d" % number


def filled(count: int, *, lead_ms: int = 200) -> Pacer[bytes]:
    pacer: Pacer[bytes] = Pacer(lead_ms=lead_ms)
    pacer.start(now=10.0)
    for number in range(count):
        pacer.put(frame(number))
    return pacer


def test_a_frame_is_due_every_20_ms() -> None:
    pacer = filled(0)

    assert pacer.due(now=10.0) == Due(1, 10.0, 0)
    assert pacer.due(now=10.019).frames == 0
    assert pacer.timer_at() == pytest.approx(10.02)
    assert pacer.due(now=10.02001).frames == 1


def test_an_hour_of_late_ticks_does_not_drift() -> None:
    pacer = filled(0)

    frames = sum(pacer.due(now=10.0 + tick * 0.02 + 0.003).frames for tick in range(180_000))

    assert frames == 180_000
    assert pacer.timer_at() == pytest.approx(10.0 + 3600.0, abs=1e-6)
    assert pacer.late_ms_max == pytest.approx(3.0, abs=0.01)


def test_after_a_short_stall_the_missed_frames_go_at_once() -> None:
    pacer = filled(0)
    pacer.due(now=10.0)

    assert pacer.due(now=10.0801) == Due(4, pytest.approx(10.02), 0)
    assert pacer.due(now=10.0999).frames == 0


def test_after_a_long_stall_the_time_beyond_is_given_up() -> None:
    pacer = filled(0)
    pacer.due(now=10.0)

    assert pacer.due(now=11.0001) == Due(5, pytest.approx(10.92), 45)
    assert pacer.timer_at() == pytest.approx(11.02)
    assert pacer.late_ms_max == pytest.approx(980.1)


def test_frames_leave_in_order_and_then_silence() -> None:
    pacer = filled(3)

    assert [pacer.take() for _ in range(5)] == [frame(0), frame(1), frame(2), None, None]
    assert pacer.silences == 2


def test_queue_is_full_at_its_lead() -> None:
    pacer = filled(9)
    assert not pacer.is_full
    assert [pacer.is_full_with(more) for more in (0, 1)] == [False, True]

    pacer.put(frame(9))

    assert pacer.is_full
    assert pacer.queued_ms == 200


def test_flush_drops_what_was_not_played_and_says_how_much() -> None:
    pacer = filled(8)
    pacer.take()
    pacer.take()

    assert pacer.flush() == 120
    assert pacer.played_ms == 40
    assert pacer.queued_ms == 0
    assert pacer.take() is None
    assert pacer.flush() == 0


def test_silence_between_frames_of_speech_is_an_underrun() -> None:
    pacer = filled(1)
    for _ in range(4):
        pacer.take()
    assert pacer.underruns == 0

    pacer.put(frame(1))
    pacer.take()

    assert pacer.underruns == 3
    assert pacer.played_ms == 40


def test_pause_of_the_bot_is_no_underrun() -> None:
    pacer = filled(1)
    for _ in range(27):
        pacer.take()
    pacer.put(frame(1))
    pacer.take()

    assert pacer.underruns == 0


@pytest.mark.parametrize("silent", [0, 3])
def test_silence_after_a_flush_is_no_underrun(silent: int) -> None:
    pacer = filled(2)
    pacer.take()
    pacer.flush()
    for _ in range(silent):
        pacer.take()
    pacer.put(frame(2))
    pacer.take()

    assert pacer.underruns == 0


@given(
    st.lists(st.one_of(st.just("put"), st.just("flush"), st.just("take"), st.integers(0, 300).map(float)), max_size=200)
)
def test_every_frame_is_played_dropped_or_waits(steps: list[str | float]) -> None:
    pacer, now, put, taken, dropped_ms = filled(0), 10.0, 0, 0, 0
    asked = 0
    for step in steps:
        if step == "put":
            pacer.put(frame(put))
            put += 1
        elif step == "flush":
            dropped_ms += pacer.flush()
        elif step == "take":
            taken += pacer.take() is not None
        else:
            assert isinstance(step, float)
            now += step / 1000
            due = pacer.due(now=now)
            asked += due.frames + due.skipped
            assert due.frames <= 5
        assert pacer.played_ms == taken * 20
        assert put * 20 == pacer.played_ms + dropped_ms + pacer.queued_ms
    assert asked == round((pacer.timer_at() - 10.0) / 0.02)
