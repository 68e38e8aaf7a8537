"""The thread that paces all calls, and the bell by which it wakes the bot's loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from telephony.rtp.doorbell import Doorbell
from telephony.rtp.media_thread import MediaThread
from tests.waiting import HUNG_S


@dataclass(eq=False)
class Ticker:
    """Counts its ticks, and may fail or dawdle at some."""

    enough: int = 10
    fails: bool = False
    dawdles_s: float = 0.0
    started_at: float = 0.0
    ticks: list[float] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def start(self, *, now: float) -> None:
        self.started_at = now

    def tick(self, *, now: float) -> None:
        self.ticks.append(now)
        if len(self.ticks) == 1 and self.dawdles_s:
            time.sleep(self.dawdles_s)
        if len(self.ticks) >= self.enough:
            self.done.set()
        if self.fails:
            raise RuntimeError("out of tune")


@pytest.fixture
def thread() -> Iterator[MediaThread]:
    ours = MediaThread(after_tick=lambda: None)
    ours.start()
    yield ours
    ours.stop()


def add(thread: MediaThread, ticker: Ticker) -> None:
    thread.call(lambda: thread.add(ticker)).result(timeout=HUNG_S)


def test_what_is_added_ticks_every_20_ms(thread: MediaThread) -> None:
    ticker = Ticker(enough=26)
    add(thread, ticker)

    assert ticker.done.wait(timeout=HUNG_S)
    # On average: single ticks come late on a busy machine, but never early and without drift.
    assert all(at >= ticker.started_at + 0.02 * n - 0.002 for n, at in enumerate(ticker.ticks[:5]))
    assert ticker.ticks[25] - ticker.ticks[0] < 25 * 0.02 + 0.3


def test_calls_are_spread_over_the_20_ms(thread: MediaThread) -> None:
    tickers = [Ticker() for _ in range(48)]
    for ticker in tickers:
        add(thread, ticker)

    starts = sorted(round((ticker.started_at - tickers[0].started_at) * 1000) % 20 for ticker in tickers)

    assert starts == sorted([*range(0, 20, 5)] * 12)


def test_a_few_calls_share_a_slot(thread: MediaThread) -> None:
    tickers = [Ticker() for _ in range(20)]
    for ticker in tickers:
        add(thread, ticker)

    starts = sorted(round((ticker.started_at - tickers[0].started_at) * 1000) % 20 for ticker in tickers)

    assert starts == [0] * 8 + [5] * 8 + [10] * 4


def test_what_is_removed_ticks_no_more(thread: MediaThread) -> None:
    gone, stays = Ticker(enough=1), Ticker(enough=1)
    add(thread, gone)
    add(thread, stays)
    assert gone.done.wait(timeout=HUNG_S)
    thread.call(lambda: thread.remove(gone)).result(timeout=HUNG_S)
    thread.call(lambda: thread.remove(gone)).result(timeout=HUNG_S)
    ticked = len(gone.ticks)
    stays.enough = len(stays.ticks) + 5
    stays.done.clear()

    assert stays.done.wait(timeout=HUNG_S)
    assert len(gone.ticks) == ticked


def test_thread_rests_without_calls_and_begins_again(thread: MediaThread) -> None:
    first, second = Ticker(enough=2), Ticker(enough=2)
    add(thread, first)
    assert first.done.wait(timeout=HUNG_S)
    thread.call(lambda: thread.remove(first)).result(timeout=HUNG_S)

    add(thread, second)

    assert second.done.wait(timeout=HUNG_S)


def test_fault_of_one_call_is_logged_once_and_silences_no_other(
    thread: MediaThread, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        faulty, sound = Ticker(enough=5, fails=True), Ticker(enough=5)
        add(thread, faulty)
        add(thread, sound)
        assert faulty.done.wait(timeout=HUNG_S)
        assert sound.done.wait(timeout=HUNG_S)

    assert [record.message for record in caplog.records] == ["a media stream fails to tick; the call goes on"]


def test_after_a_stall_each_call_ticks_once_not_once_for_each_missed_round(thread: MediaThread) -> None:
    slow, other = Ticker(enough=3, dawdles_s=0.3), Ticker(enough=3)
    add(thread, other)
    add(thread, slow)
    assert slow.done.wait(timeout=HUNG_S)

    after = [at for at in slow.ticks[1:] if at < slow.ticks[0] + 0.3 + 0.02]
    assert len(after) <= 3


def test_result_and_error_come_back(thread: MediaThread) -> None:
    assert thread.call(lambda: threading.current_thread().name).result(timeout=HUNG_S) == "rtp-media"
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda: 1 // 0).result(timeout=HUNG_S)


def test_call_that_is_cancelled_before_its_turn_does_not_run(thread: MediaThread) -> None:
    gate, ran = threading.Event(), threading.Event()
    thread.post(gate.wait)
    call = thread.call(ran.set)
    assert call.cancel()
    gate.set()
    thread.call(lambda: None).result(timeout=HUNG_S)

    assert not ran.is_set()


async def test_bell_wakes_all_in_one_callback_and_tells_when_all_are_awake() -> None:
    woken: list[int] = []
    bell = Doorbell(asyncio.get_running_loop(), woken=lambda: woken.append(-1))
    bell.ring()
    for number in range(3):
        bell.note(lambda number=number: woken.append(number))
    bell.ring()
    bell.ring()
    assert woken == []

    await asyncio.sleep(0)

    assert woken == [0, 1, 2, -1]


def test_bell_of_a_closed_loop_is_silent() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    woken: list[int] = []
    bell = Doorbell(loop, woken=lambda: woken.append(-1))
    bell.note(lambda: woken.append(1))

    bell.ring()

    assert woken == []
