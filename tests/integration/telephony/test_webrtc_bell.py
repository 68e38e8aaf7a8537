from __future__ import annotations

import asyncio
import threading

from telephony.rtp.doorbell import Doorbell
from telephony.webrtc.bell import Bell
from tests.waiting import HUNG_S


def a_bell() -> tuple[Bell, Doorbell]:
    doorbell = Doorbell(asyncio.get_running_loop(), woken=lambda: None)
    return Bell(doorbell), doorbell


async def test_what_is_there_is_found_without_waiting() -> None:
    assert await a_bell()[0].until(lambda: "here") == "here"


async def test_a_ring_lets_all_that_wait_look_again() -> None:
    (bell, _), found = a_bell(), list[int]()
    first = asyncio.create_task(bell.until(lambda: found[0] if found else None))
    second = asyncio.create_task(bell.until(lambda: found[0] if found else None))
    await asyncio.sleep(0)
    found.append(7)
    bell.ring()
    assert await asyncio.gather(first, second) == [7, 7]


async def test_a_ring_for_nothing_goes_on_waiting() -> None:
    (bell, _), looks = a_bell(), list[None]()

    def look() -> bool | None:
        looks.append(None)
        return True if len(looks) > 4 else None

    waiting = asyncio.create_task(bell.until(look))
    await asyncio.sleep(0)
    bell.ring()
    bell.ring()
    await asyncio.sleep(0)
    assert not waiting.done()
    bell.ring()
    assert await waiting


async def test_what_changes_between_the_look_and_the_wait_is_not_missed() -> None:
    answers = iter([None, "just now"])
    assert await a_bell()[0].until(lambda: next(answers)) == "just now"


async def test_another_thread_may_ring() -> None:
    (bell, doorbell), found = a_bell(), list[int]()
    waiting = asyncio.create_task(bell.until(lambda: found[0] if found else None))
    await asyncio.sleep(0)

    def change() -> None:
        found.append(7)
        bell.ring()
        bell.ring()
        doorbell.ring()

    thread = threading.Thread(target=change)
    thread.start()
    assert await asyncio.wait_for(waiting, HUNG_S) == 7
    thread.join()


async def test_ringing_when_nobody_waits_does_nothing() -> None:
    bell, _ = a_bell()
    bell.ring()
    thread = threading.Thread(target=bell.ring)
    thread.start()
    thread.join()
    assert await bell.until(lambda: True)


def test_a_ring_after_the_loop_has_closed_is_unheard() -> None:
    async def make() -> tuple[Bell, Doorbell, asyncio.Task[None]]:
        bell, doorbell = a_bell()
        task = asyncio.create_task(bell.until(lambda: None))
        await asyncio.sleep(0)
        return bell, doorbell, task

    loop = asyncio.new_event_loop()
    bell, doorbell, task = loop.run_until_complete(make())
    loop.close()

    def ring() -> None:
        bell.ring()
        doorbell.ring()

    thread = threading.Thread(target=ring)
    thread.start()
    thread.join()
    assert not task.done()
    task._log_destroy_pending = False  # it is left waiting on purpose
