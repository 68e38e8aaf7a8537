"""Timers of one machine, and of many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telephony.sip.timers import Schedule, Timer, TimerSet, Timings


def test_giving_up_takes_64_round_trips() -> None:
    assert (Timings().give_up_s, Timings(t1_s=0.01).give_up_s) == (32.0, 0.64)


def test_timers_come_due_in_their_order() -> None:
    timers = TimerSet()
    timers.start(Timer.B, 32.0)
    timers.start(Timer.A, 0.5)

    assert timers.next_at() == 0.5
    assert [timers.pop_due(now) for now in (0.4, 0.5, 0.5, 32.0)] == [None, Timer.A, None, Timer.B]
    assert timers.next_at() is None
    assert timers.pop_due(99.0) is None


def test_a_timer_is_started_again_and_stopped() -> None:
    timers = TimerSet()
    timers.start(Timer.A, 1.0)
    timers.start(Timer.A, 2.0)
    timers.start(Timer.B, 3.0)
    timers.start(Timer.D, 4.0)

    timers.stop(Timer.B, Timer.F)
    assert timers.next_at() == 2.0
    timers.stop(Timer.A)
    assert timers.next_at() == 4.0
    timers.stop_all()
    assert timers.next_at() is None


def test_the_machine_that_is_due_first_is_taken_first() -> None:
    schedule = Schedule[str]()
    schedule.set("a", 2.0)
    schedule.set("b", 1.0)
    schedule.set("c", 3.0)
    schedule.set("b", 2.5)
    schedule.set("c", None)

    assert schedule.next_at() == 2.0
    assert [schedule.pop_due(now) for now in (1.9, 2.0, 9.0, 9.0)] == [None, "a", "b", None]
    assert schedule.next_at() is None


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 100)), max_size=400))
def test_a_schedule_is_the_minimum_of_what_was_last_set(changes: list[tuple[int, int | None]]) -> None:
    schedule, expected = Schedule[int](), dict[int, int]()
    for key, at in changes:
        schedule.set(key, at)
        expected.pop(key, None)
        if at is not None:
            expected[key] = at

        assert schedule.next_at() == min(expected.values(), default=None)


def test_a_schedule_does_not_grow_with_its_changes() -> None:
    schedule = Schedule[str]()
    for at in range(10_000):
        schedule.set("a", float(at))

    assert len(schedule._heap) < 200
    assert schedule.pop_due(10_000.0) == "a"
