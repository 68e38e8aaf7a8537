"""`Player`: the bot's speech of one call, from pieces of any length to the leg's whole frames, in order.

Pipecat's own output wakes for every chunk and sends frames up and down the pipeline five times a second while the bot
speaks. Here the leg is filled to its lead and left alone until a run of frames has been played.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from telephony.errors import LegEndedError
from telephony.leg import FRAME_MS, OUTPUT_FRAME_BYTES, CallLeg

_RUN_MS = 100  # given at once; half of the lead where that is less


@dataclass(slots=True)
class _Sound:
    pcm: bytes
    turn_id: str
    given: int = 0  # bytes that the leg has


@dataclass(frozen=True, slots=True)
class _Mark:
    mark: object


_Item: TypeAlias = _Sound | _Mark


class Player:
    """Fed at once, plays in its own time; `run()` is its task."""

    def __init__(
        self, leg: CallLeg, *, on_first_audio: Callable[[str], None], on_reached: Callable[[object], None]
    ) -> None:
        """`on_first_audio` gets the turn whose sound starts, `on_reached` a mark once all before it was played."""
        self._leg = leg
        self._on_first_audio = on_first_audio
        self._on_reached = on_reached
        self._line: deque[_Item] = deque()
        self._rest = b""  # the end of a turn's last piece that fills no frame
        self._turn_id = ""  # whose rest that is
        self._begun = ""  # the turn whose sound has started
        self._changed = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._flushes = 0
        self._over = False

    def sound(self, turn_id: str, pcm: bytes) -> None:
        """Play PCM16 at 24 kHz of a turn after all before it; turns are padded to whole frames."""
        if turn_id != self._turn_id:
            self.close_turn()
            self._turn_id = turn_id
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % OUTPUT_FRAME_BYTES
        self._rest = pcm[whole:]
        if whole:
            self._add(_Sound(pcm[:whole] if self._rest else pcm, turn_id))

    def close_turn(self) -> None:
        """Nothing follows for this turn: play its last samples, padded to a frame."""
        if self._rest:
            self._add(_Sound(self._rest.ljust(OUTPUT_FRAME_BYTES, b"\0"), self._turn_id))
            self._rest = b""

    def mark(self, mark: object) -> None:
        """Be told when all before this was played."""
        self.close_turn()
        self._add(_Mark(mark))

    def flush(self) -> None:
        """Forget all that was not yet sent, marks too."""
        self._flushes += 1
        self._line.clear()
        self._rest = b""
        self._leg.flush()
        self._empty.set()
        self._changed.set()

    async def finish(self) -> None:
        """Wait until all was played, or dropped, or the leg has ended."""
        self.close_turn()
        await self._empty.wait()
        await self._leg.drain()

    async def run(self) -> None:
        """Play until the leg has ended, or until cancelled."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                while self._line:
                    await self._play(self._line[0])
                self._empty.set()
        except LegEndedError:
            pass
        finally:
            self._over = True
            self._line.clear()
            self._empty.set()

    def _add(self, item: _Item) -> None:
        if not self._over:
            self._line.append(item)
            self._empty.clear()
            self._changed.set()

    async def _play(self, item: _Item) -> None:
        flushes = self._flushes
        match item:
            case _Sound():
                await self._play_run(item)
                done = item.given == len(item.pcm)
            case _Mark():
                await self._leg.drain()
                done = True
                if flushes == self._flushes:
                    self._on_reached(item.mark)
            case _:  # pragma: no cover
                assert_never(item)
        if done and flushes == self._flushes:
            self._line.popleft()

    async def _play_run(self, sound: _Sound) -> None:
        """Give the leg its next frames, or wait until there is room for them."""
        lead_ms = self._leg.lead_ms
        run_ms = max(FRAME_MS, min(_RUN_MS, lead_ms // 2 // FRAME_MS * FRAME_MS))
        over_ms = self._leg.queued_ms - (lead_ms - run_ms)
        if over_ms > 0:
            await self._wait(over_ms / 1000)
            return
        start = sound.given
        sound.given = min(len(sound.pcm), start + run_ms // FRAME_MS * OUTPUT_FRAME_BYTES)
        await self._leg.play(sound.pcm[start : sound.given])
        if self._begun != sound.turn_id:
            self._begun = sound.turn_id
            self._on_first_audio(sound.turn_id)

    async def _wait(self, seconds: float) -> None:
        """Wait for time to pass, or for a flush: what comes after it is to be heard at once."""
        timer = asyncio.get_running_loop().call_later(seconds, self._changed.set)
        try:
            await self._changed.wait()
            self._changed.clear()
        finally:
            timer.cancel()
