from __future__ import annotations

from bot.flows.clocks import Clock, Clocks


def test_clocks_come_due_in_their_order_and_once() -> None:
    clocks = Clocks()
    clocks.start(Clock.ANSWER, at=5.0)
    clocks.start(Clock.NO_INPUT, at=3.0)
    assert clocks.next_at() == 3.0
    assert clocks.take_due(now=2.9) is None
    assert [clocks.take_due(now=6.0) for _ in range(3)] == [Clock.NO_INPUT, Clock.ANSWER, None]
    assert clocks.next_at() is None


def test_a_stopped_clock_never_comes_due() -> None:
    clocks = Clocks()
    clocks.start(Clock.KEYS, at=1.0)
    clocks.start(Clock.SPEECH, at=1.0)
    clocks.stop(Clock.KEYS, Clock.ANSWER)
    assert not clocks.is_running(Clock.KEYS)
    assert clocks.is_running(Clock.SPEECH)
    clocks.stop_all()
    assert clocks.take_due(now=9.0) is None
