from __future__ import annotations

import asyncio

import pytest

from tts_engine.patience import Patience


async def test_waits_that_end_in_time_may_be_many_and_long_together():
    async with Patience() as patience:
        for _ in range(5):
            patience.begin(0.05)
            await asyncio.sleep(0.02)
            patience.end()


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


async def test_between_two_waits_nothing_is_bounded():
    async with Patience() as patience:
        patience.begin(0.01)
        patience.end()
        await asyncio.sleep(0.05)
        patience.begin(0.2)
        await asyncio.sleep(0)


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
