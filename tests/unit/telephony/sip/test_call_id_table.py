"""Which worker has which call."""

from __future__ import annotations

from telephony.sip.call_id_table import Binding, CallIdTable


def table(**options: int) -> CallIdTable:
    return CallIdTable(idle_s=100.0, linger_s=10.0, **options)


def test_a_call_that_is_up_stays_with_its_worker() -> None:
    ours = table()
    ours.bind("a", Binding(1), now=0.0)
    ours.keep("a", 1, now=1.0)

    assert ours.find("a", now=100.0) == Binding(1)
    assert ours.find("a", now=199.0) == Binding(1)
    assert ours.find("b", now=0.0) is None
    assert len(ours) == 1


def test_a_call_that_never_came_up_is_forgotten_soon() -> None:
    ours = table()
    ours.bind("a", Binding(1), now=0.0)
    ours.bind("refused", Binding(None), now=0.0)

    assert (ours.find("a", now=9.0), ours.find("refused", now=9.0)) == (Binding(1), Binding(None))
    assert ours.find("a", now=19.0) is None
    ours.expire(now=19.0)
    assert len(ours) == 0


def test_a_call_that_is_over_lingers() -> None:
    ours = table()
    ours.keep("a", 1, now=0.0)
    ours.release("a", now=50.0)
    ours.release("never kept", now=50.0)

    assert ours.find("a", now=55.0) == Binding(1)
    assert ours.find("a", now=65.0) is None


def test_a_call_id_that_comes_again_is_bound_anew() -> None:
    ours = table()
    ours.keep("a", 1, now=0.0)

    ours.bind("a", Binding(2), now=1.0)

    assert (ours.find("a", now=2.0), len(ours)) == (Binding(2), 1)


def test_what_is_silent_for_too_long_expires_in_its_order() -> None:
    ours = table()
    ours.keep("a", 1, now=0.0)
    ours.keep("b", 1, now=1.0)
    ours.find("a", now=50.0)

    ours.expire(now=101.0)

    assert (ours.find("a", now=101.0), ours.find("b", now=101.0)) == (Binding(1), None)


def test_a_worker_that_is_gone_takes_its_calls_with_it() -> None:
    ours = table()
    ours.keep("a", 1, now=0.0)
    ours.bind("b", Binding(1), now=0.0)
    ours.keep("c", 2, now=0.0)

    ours.forget_worker(1)

    assert [ours.find(name, now=0.0) for name in "abc"] == [None, None, Binding(2)]


def test_the_table_is_bounded_and_calls_that_are_up_stay_longest() -> None:
    ours = table(max_entries=2)
    ours.keep("up", 1, now=0.0)
    ours.bind("a", Binding(1), now=1.0)
    ours.bind("b", Binding(1), now=2.0)
    assert [ours.find(name, now=2.0) is not None for name in ("up", "a", "b")] == [True, False, True]

    ours.keep("up2", 1, now=3.0)
    ours.keep("up3", 1, now=4.0)
    assert [ours.find(name, now=4.0) is not None for name in ("up", "b", "up2", "up3")] == [False, False, True, True]
