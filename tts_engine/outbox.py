"""`Outbox`: what waits to be sent to one client, bounded in bytes of audio."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeAlias

from tts_engine.session import CloseSocket, SendAudio, SendText

Outgoing: TypeAlias = SendText | SendAudio | CloseSocket


class Outbox:
    """One sender takes what one speaker puts, in its order. Text is small and never waits."""

    def __init__(self, *, max_audio_bytes: int) -> None:
        self.audio_bytes = 0  # waiting or being sent
        self._max_audio_bytes = max_audio_bytes
        self._waiting: deque[Outgoing] = deque()
        self._put = asyncio.Event()
        self._freed = asyncio.Event()

    def put(self, item: Outgoing) -> None:
        """Add something to send."""
        self._waiting.append(item)
        self.audio_bytes += _audio_bytes(item)
        self._put.set()

    def drop_audio(self) -> None:
        """Forget audio that waits."""
        kept = [item for item in self._waiting if not isinstance(item, SendAudio)]
        self._free(sum(map(_audio_bytes, self._waiting)))
        self._waiting = deque(kept)

    async def take(self) -> Outgoing:
        """Wait for the next thing to send; report it by `sent`."""
        while not self._waiting:
            self._put.clear()
            await self._put.wait()
        return self._waiting.popleft()

    def sent(self, item: Outgoing) -> None:
        """Note that what was taken is on its way."""
        self._free(_audio_bytes(item))

    async def room(self) -> None:
        """Wait until audio may be put: the bound may be passed by one piece."""
        await self._at_most(self._max_audio_bytes)

    async def sent_all(self) -> None:
        """Wait until all audio is on its way."""
        await self._at_most(0)

    async def _at_most(self, audio_bytes: int) -> None:
        while self.audio_bytes > audio_bytes:
            self._freed.clear()
            await self._freed.wait()

    def _free(self, audio_bytes: int) -> None:
        self.audio_bytes -= audio_bytes
        self._freed.set()


def _audio_bytes(item: Outgoing) -> int:
    return len(item.pcm) if isinstance(item, SendAudio) else 0
