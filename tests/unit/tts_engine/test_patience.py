from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from tts_engine.patience import Patience


class Clock:
    """The loop's, which stands still but for `pass_s`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 1000.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self._now)

    async def pass_s(self, seconds: float) -> None:
        self._now += seconds
        for _ in range(5):  # let what is due run, and who waits for it
            await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def test_waits_that_end_in_time_may_be_many_and_long_together(clock: Clock):
    ended = 0
    async with Patience() as patience:
        for _ in range(5):
            patience.begin(0.05)
            await clock.pass_s(0.04)
            patience.end()
            ended += 1
    assert ended == 5


async def wait_forever(*limits_s: float) -> None:
    """Begin waits of these limits, of which the last never ends."""
    async with Patience() as patience:
        for limit_s in limits_s:
            patience.end()
            patience.begin(limit_s)
        await asyncio.Event().wait()


async def test_a_wait_that_does_not_end_is_a_timeout():
    with pytest.raises(TimeoutError):
        await wait_forever(0.01)


async def test_a_shorter_wait_after_a_longer_one_ends_by_its_own_limit():
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):
            await wait_forever(60.0, 0.01)


async def test_between_two_waits_nothing_is_bounded(clock: Clock):
    async with Patience() as patience:
        patience.begin(0.01)
        patience.end()
        await clock.pass_s(60)
        patience.begin(0.2)
        await clock.pass_s(0.1)
        patience.end()
        ended = True
    assert ended


async def test_what_goes_wrong_inside_comes_out_as_it_is():
    async def fail() -> None:
        async with Patience() as patience:
            patience.begin(1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()


async def test_a_cancel_from_outside_is_a_cancel():
    task = asyncio.create_task(wait_forever(60.0))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Held:
    """Something that a task holds."""


async def test_a_cancel_leaves_nothing_for_the_collector():
    async def hold(_: Held) -> None:
        async with Patience() as patience:
            patience.begin(60.0)
            await asyncio.Event().wait()

    gc.disable()
    try:
        held = Held()
        task, gone = asyncio.create_task(hold(held)), weakref.ref(held)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        del task, held
        assert gone() is None
    finally:
        gc.enable()
