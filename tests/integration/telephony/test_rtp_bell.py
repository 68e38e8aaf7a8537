"""What the bot's loop does once for all calls."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from telephony.audio.listener import ToneListener
from telephony.audio.pacer import Pacer
from telephony.audio.playout import Silence
from telephony.leg import OUTPUT_FRAME_BYTES
from telephony.rtp.bell import Bell, SharedWork
from telephony.rtp.codec import CODECS
from telephony.rtp.decoder import Decoder
from telephony.rtp.depacketizer import CodedFrame
from telephony.rtp.doorbell import Doorbell
from telephony.rtp.hearing import Hearing
from telephony.rtp.mailbox import Mailbox
from telephony.rtp.packetizer import BotFrame
from telephony.rtp.speaking import Speaking


class House:
    """Some calls behind one door."""

    def __init__(self, calls: int) -> None:
        loop = asyncio.get_running_loop()
        work = SharedWork(loop)
        self.doorbell = Doorbell(loop, woken=work.hear)
        self.mailboxes = [Mailbox(audio_frames=100) for _ in range(calls)]
        self.pacers: list[Pacer[BotFrame]] = [Pacer(lead_ms=200) for _ in range(calls)]
        self.speakings = [Speaking(pacer) for pacer in self.pacers]
        self.hearings = [
            Hearing(mailbox=mailbox, decoder=Decoder(), listener=ToneListener(tones=True)) for mailbox in self.mailboxes
        ]
        self.bells = [
            Bell(self.doorbell, work, hearing=hearing, speaking=speaking)
            for hearing, speaking in zip(self.hearings, self.speakings, strict=True)
        ]

    def comes(self, call: int, frames: int = 1) -> None:
        for number in range(frames):
            self.mailboxes[call].put_audio(CodedFrame(CODECS["PCMU"], (Silence(),), 20 * number))
        self.bells[call].ring()


async def waiting(what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(what)
    await asyncio.sleep(0)
    return task


async def test_what_has_come_is_made_ready_and_who_waits_for_it_is_woken() -> None:
    house = House(3)
    tasks = [await waiting(bell.wait()) for bell in house.bells]
    for call in (0, 2, 2):
        house.comes(call)
    house.doorbell.ring()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert [task.done() for task in tasks] == [True, False, True]
    assert [len(hearing.heard) for hearing in house.hearings] == [1, 0, 2]
    tasks[1].cancel()


async def test_a_bot_that_takes_nothing_has_a_few_frames_ready_and_the_rest_stays_in_the_mailbox() -> None:
    house = House(1)
    for _ in range(4):
        house.comes(0, frames=3)
        house.doorbell.ring()
        await asyncio.sleep(0)

    assert len(house.hearings[0].heard) == 6
    assert house.mailboxes[0].get() is not None


async def test_a_task_that_gave_up_waiting_is_not_woken() -> None:
    house = House(1)
    task = await waiting(house.bells[0].wait())
    task.cancel()
    await asyncio.sleep(0)
    house.comes(0)
    house.doorbell.ring()
    await asyncio.sleep(0)

    assert task.cancelled()
    assert len(house.hearings[0].heard) == 1


async def test_what_bots_play_is_queued_before_the_loop_goes_on() -> None:
    house = House(2)
    for bell, speaking in zip(house.bells, house.speakings, strict=True):
        speaking.put(bytes(OUTPUT_FRAME_BYTES))
        bell.speaks()
    assert [pacer.queued_ms for pacer in house.pacers] == [0, 0]

    await asyncio.sleep(0)

    assert [pacer.queued_ms for pacer in house.pacers] == [20, 20]
