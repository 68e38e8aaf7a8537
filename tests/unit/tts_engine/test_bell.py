from __future__ import annotations

import asyncio

from tts_engine.bell import Bell


async def test_who_waits_is_woken_by_each_ring():
    bell, woken = Bell(), list[int]()

    async def waits() -> None:
        for number in range(2):
            await bell.wait()
            woken.append(number)

    task = asyncio.create_task(waits())
    for rung in range(2):
        await asyncio.sleep(0)
        assert len(woken) == rung
        bell.ring()
        bell.ring()  # rings before it has woken up are one
        await asyncio.sleep(0)
    await task
    assert woken == [0, 1]


async def test_a_ring_that_nobody_waits_for_is_not_heard_later():
    bell = Bell()
    bell.ring()
    waiting = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    bell.ring()
    await waiting


async def test_a_ring_after_who_waited_was_cancelled_is_nobodys():
    bell = Bell()
    waiting = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    bell.ring()
    assert waiting.cancelled()
