"""Two RTP sessions over loopback sockets with a bad line between them."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from telephony.audio.frame import pcm_of, samples_of
from telephony.leg import AudioReceived, DigitReceived
from telephony.media import Media, MediaParameters
from telephony.rtp.factory import RtpMediaFactory
from telephony.settings import RtpSettings

Address = tuple[str, int]


class BadLine:
    """A UDP relay: what comes in on one side goes out of the other, some of it lost, late or twice; seeded."""

    def __init__(
        self, ends: tuple[Address, Address], *, seed: int, loss: float, reorder: float, duplicate: float = 0.0
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._dice = random.Random(seed)
        self._loss, self._reorder, self._duplicate = loss, reorder, duplicate
        self._ends = ends
        self.sides = tuple(socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in ends)
        for index, side in enumerate(self.sides):
            side.setblocking(False)
            side.bind(("127.0.0.1", 0))
            self._loop.add_reader(side, self._relay, index)
        self.lost = 0

    def port(self, index: int) -> int:
        return self.sides[index].getsockname()[1]

    def _relay(self, index: int) -> None:
        data = self.sides[index].recv(2048)
        if self._dice.random() < self._loss:
            self.lost += 1
            return
        for _ in range(2 if self._dice.random() < self._duplicate else 1):
            late_s = self._dice.uniform(0.021, 0.045) if self._dice.random() < self._reorder else 0.0
            self._loop.call_later(late_s, self._send, data, 1 - index)

    def _send(self, data: bytes, index: int) -> None:
        if self.sides[index].fileno() >= 0:
            self.sides[index].sendto(data, self._ends[index])

    def close(self) -> None:
        for side in self.sides:
            self._loop.remove_reader(side)
            side.close()


@pytest_asyncio.fixture
async def factory() -> AsyncIterator[RtpMediaFactory]:
    ours = RtpMediaFactory(RtpSettings(port_min=22_000, port_max=22_999))
    await ours.start()
    yield ours
    await ours.stop()
    assert ours.ports_taken == 0


async def connect(factory: RtpMediaFactory, **line: float) -> tuple[Media, Media, BadLine]:
    left, right = await factory.open(), await factory.open()
    ends = ((left.local_host, left.local_port), (right.local_host, right.local_port))
    bad = BadLine(ends, seed=7, **line)  # type: ignore[arg-type]  # keywords as given
    for index, media in enumerate((left, right)):
        media.apply(MediaParameters("127.0.0.1", bad.port(index), "PCMU", 0, 101))
    return left, right, bad


def chirp(seconds: float) -> NDArray[np.int16]:
    at_s = np.arange(round(24_000 * seconds)) / 24_000
    return np.rint(8_000 * np.sin(2 * np.pi * (300 * at_s + 200 * at_s**2))).astype(np.int16)


async def listen(media: Media, frames: int) -> NDArray[np.int16]:
    heard: list[NDArray[np.int16]] = []
    while len(heard) < frames:
        event = await media.receive()
        if isinstance(event, AudioReceived):
            heard.append(samples_of(event.pcm))
    return np.concatenate(heard)


async def test_speech_arrives_whole_over_a_line_that_loses_and_reorders(factory: RtpMediaFactory) -> None:
    left, right, line = await connect(factory, loss=0.05, reorder=0.05, duplicate=0.02)
    pcm = pcm_of(chirp(4.0))
    hearing = asyncio.create_task(listen(right, 250))

    for start in range(0, len(pcm), 960):
        await left.play(pcm[start : start + 960])
    heard = (await hearing).astype(np.float64)
    line.close()

    levels = np.sqrt(np.mean(heard.reshape(-1, 320) ** 2, axis=1))
    speaking = np.flatnonzero(levels > 1_000)
    assert line.lost > 5
    # 4 s were said; with what the playout has merged or made up it takes about as long to hear.
    assert 3.6 <= (speaking[-1] - speaking[0] + 1) * 0.02 <= 4.4
    assert np.median(levels[speaking]) == pytest.approx(8_000 / np.sqrt(2), rel=0.1)
    assert len(speaking) >= 0.95 * (speaking[-1] - speaking[0])
    stats = right.stats()
    assert stats.lost >= 3
    assert 0 < stats.concealed_ms < 1_000
    assert stats.playout_delay_ms <= 120


async def test_digits_arrive_once_each_over_a_line_that_loses_and_reorders(factory: RtpMediaFactory) -> None:
    left, right, line = await connect(factory, loss=0.15, reorder=0.1, duplicate=0.1)
    digits: list[str] = []

    async def collect() -> None:
        while len(digits) < 8:
            event = await right.receive()
            if isinstance(event, DigitReceived):
                digits.append(event.digit)

    collecting = asyncio.create_task(collect())
    await left.send_digits("1122#*90")
    await collecting
    line.close()

    assert digits == list("1122#*90")
