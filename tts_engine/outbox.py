"""`Outbox`: what waits to be sent to one client, bounded in bytes of audio and of text."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeAlias

from tts_engine.bell import Bell
from tts_engine.session import CloseSocket, SendAudio, SendText

Outgoing: TypeAlias = SendText | SendAudio | CloseSocket

MAX_TEXT_BYTES = 65_536  # a hundred refusals; an utterance's own messages are 25 KB at most


class Outbox:
    """One sender takes what a speaker and a reader put, in its order.

    Neither waits to put: the speaker waits for `room` before it makes more audio, and the reader for `text_room` before
    it reads what it will have to answer.
    """

    def __init__(self, *, max_audio_bytes: int, max_text_bytes: int = MAX_TEXT_BYTES) -> None:
        self.audio_bytes = 0  # waiting or being sent
        self.text_bytes = 0  # as above
        self._max_audio_bytes = max_audio_bytes
        self._max_text_bytes = max_text_bytes
        self._waiting: deque[Outgoing] = deque()
        self._put = Bell()
        self._freed = asyncio.Event()

    def put(self, item: Outgoing) -> None:
        """Add something to send."""
        self._waiting.append(item)
        self._count(item, +1)
        self._put.ring()

    def drop_audio(self) -> None:
        """Forget audio that waits."""
        kept: deque[Outgoing] = deque()
        for item in self._waiting:
            if isinstance(item, SendAudio):
                self._count(item, -1)
            else:
                kept.append(item)
        self._waiting = kept
        self._freed.set()

    async def take(self) -> Outgoing:
        """Wait for the next thing to send; report it by `sent`."""
        while not self._waiting:
            await self._put.wait()
        return self._waiting.popleft()

    def sent(self, item: Outgoing) -> None:
        """Note that what was taken is on its way."""
        self._count(item, -1)
        self._freed.set()

    async def room(self) -> None:
        """Wait until audio may be put: the bound may be passed by one piece."""
        while self.audio_bytes > self._max_audio_bytes:
            await self._change()

    async def text_room(self) -> None:
        """Wait until answers may be put: the bound may be passed by those to one message."""
        while self.text_bytes > self._max_text_bytes:
            await self._change()

    async def sent_all(self) -> None:
        """Wait until all audio is on its way."""
        while self.audio_bytes:
            await self._change()

    async def _change(self) -> None:
        self._freed.clear()
        await self._freed.wait()

    def _count(self, item: Outgoing, sign: int) -> None:
        match item:
            case SendAudio(pcm):
                self.audio_bytes += sign * len(pcm)
            case SendText(text):
                self.text_bytes += sign * len(text.encode())
            case _:
                pass  # a close is the last of all
