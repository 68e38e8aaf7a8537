"""`FrameClock`: one timer of an event loop for all its calls, a frame a call every 20 ms.

20 ms are divided into four slots of 5 ms, and each call belongs to one, so that the packets of many calls do not leave
in one burst. More slots would wake the loop more often, for fewer calls each: with ten, 200 calls cost a fifth more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from telephony.leg import FRAME_MS

_log = logging.getLogger(__name__)
_SLOTS = 4
_SLOT_S = FRAME_MS / 1000 / _SLOTS
_FEW = 8  # calls that share a slot before the next one is begun: one by one they cost the bot's side twice as much


class Ticking(Protocol):
    """What the clock drives."""

    def start(self, *, now: float) -> None:
        """Begin; `tick` follows every 20 ms from now on."""
        ...

    def tick(self, *, now: float) -> None:
        """Do what is due; after a stall it is called once."""
        ...


class FrameClock:
    """Used in its loop alone. `after_tick` follows whenever some have ticked."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, after_tick: Callable[[], None]) -> None:
        self._loop = loop
        self._after_tick = after_tick
        self._slots: list[list[Ticking]] = [[] for _ in range(_SLOTS)]
        self._faulty: set[Ticking] = set()
        self._began_at = 0.0
        self._turn = 0  # slots since `_began_at`
        self._timer: asyncio.TimerHandle | None = None

    def add(self, stream: Ticking) -> None:
        """Let a stream tick: in the first slot that has but a few, or else in the one with the fewest."""
        now = time.monotonic()
        if not any(self._slots):
            self._began_at, self._turn = now, 0
        index = min(range(_SLOTS), key=lambda slot: max(len(self._slots[slot]), _FEW - 1))
        ahead = (index - self._turn) % _SLOTS
        stream.start(now=self._began_at + (self._turn + ahead) * _SLOT_S)
        self._slots[index].append(stream)
        self._set_timer(now)

    def remove(self, stream: Ticking) -> None:
        """Let a stream tick no more; nothing happens if it did not."""
        for slot in self._slots:
            if stream in slot:
                slot.remove(stream)
        self._faulty.discard(stream)

    def _set_timer(self, now: float) -> None:
        """Sleep until the next slot that has a stream."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if any(self._slots):
            while not self._slots[self._turn % _SLOTS]:
                self._turn += 1
            delay = self._began_at + self._turn * _SLOT_S - now
            self._timer = self._loop.call_later(max(0.0, delay), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = time.monotonic()
        come = int((now - self._began_at) / _SLOT_S) + 1 - self._turn  # slots whose time has come
        # After a stall longer than a round every stream ticks once; its pacer knows how much it has missed.
        self._turn += max(0, come - _SLOTS) // _SLOTS * _SLOTS
        for _ in range(min(come, _SLOTS)):
            self._tick(tuple(self._slots[self._turn % _SLOTS]))
            self._turn += 1
        self._after_tick()
        self._set_timer(time.monotonic())

    def _tick(self, streams: tuple[Ticking, ...]) -> None:
        for stream in streams:
            try:
                stream.tick(now=time.monotonic())
            except Exception:  # noqa: BLE001 - one call's fault, whatever it is, must not silence the others
                # Told once: it would come 50 times a second.
                if stream not in self._faulty:
                    self._faulty.add(stream)
                    _log.exception("a media stream fails to tick; the call goes on")
