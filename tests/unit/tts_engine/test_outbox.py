from __future__ import annotations

import asyncio

from tts_engine.outbox import Outbox
from tts_engine.session import CloseSocket, SendAudio, SendText


async def test_things_are_taken_in_the_order_in_which_they_were_put() -> None:
    outbox = Outbox(max_audio_bytes=100)
    things = [SendText("a"), SendAudio(b"bb"), SendText("c"), CloseSocket(1000)]
    for thing in things:
        outbox.put(thing)

    assert [await outbox.take() for _ in things] == things


async def test_taking_waits_for_something_to_be_put() -> None:
    outbox = Outbox(max_audio_bytes=100)
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    assert not taking.done()

    outbox.put(SendText("a"))

    assert await taking == SendText("a")


async def test_there_is_room_until_the_bound_is_passed() -> None:
    outbox = Outbox(max_audio_bytes=4)
    outbox.put(SendAudio(b"1234"))
    await outbox.room()
    outbox.put(SendAudio(b"56"))

    waiting = asyncio.create_task(outbox.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    first = await outbox.take()
    await asyncio.sleep(0)
    assert not waiting.done()  # taken is not sent
    outbox.sent(first)

    await waiting
    assert outbox.audio_bytes == 2


async def test_text_takes_no_room_of_audio() -> None:
    outbox = Outbox(max_audio_bytes=0)

    outbox.put(SendText("a" * 1000))

    await asyncio.wait_for(outbox.room(), 5)
    await asyncio.wait_for(outbox.sent_all(), 5)
    assert (outbox.audio_bytes, outbox.text_bytes) == (0, 1000)


async def test_who_would_make_more_text_waits_until_there_is_room_for_it() -> None:
    outbox = Outbox(max_audio_bytes=0, max_text_bytes=3)
    outbox.put(SendText("abc"))
    await asyncio.wait_for(outbox.text_room(), 5)
    outbox.put(SendText("ə"))  # two bytes
    outbox.put(CloseSocket(1000))

    waiting = asyncio.create_task(outbox.text_room())
    await asyncio.sleep(0)
    first = await outbox.take()
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.sent(first)

    await asyncio.wait_for(waiting, 5)
    assert outbox.text_bytes == 2


async def test_dropping_audio_leaves_text_and_makes_room() -> None:
    outbox = Outbox(max_audio_bytes=0)
    outbox.put(SendText("a"))
    outbox.put(SendAudio(b"12"))
    outbox.put(SendText("b"))
    waiting = asyncio.create_task(outbox.room())
    await asyncio.sleep(0)

    outbox.drop_audio()

    await waiting
    assert [await outbox.take(), await outbox.take()] == [SendText("a"), SendText("b")]
    assert outbox.audio_bytes == 0


async def test_audio_that_is_being_sent_while_the_rest_is_dropped_still_counts() -> None:
    outbox = Outbox(max_audio_bytes=0)
    outbox.put(SendAudio(b"12"))
    outbox.put(SendAudio(b"3456"))
    first = await outbox.take()

    outbox.drop_audio()

    assert outbox.audio_bytes == 2
    outbox.sent(first)
    await outbox.sent_all()
    assert outbox.audio_bytes == 0
