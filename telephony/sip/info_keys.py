"""`InfoKeys`: key presses that we send by INFO (RFC 6086, `application/dtmf-relay`), one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from telephony.sip.dtmf import relay_body
from telephony.sip.timers import Timer, TimerSet

PRESS_MS, PAUSE_MS = 160, 100
"""How long a key is said to be down, and how long none is; the next one waits for both, and for the answer."""

MAX_WAITING = 64


class InfoKeys:
    """Sends each key once the one before was taken, so that none overtakes another. Times are seconds."""

    def __init__(self, send: Callable[[bytes, float], object], told: Callable[[int, int], None]) -> None:
        """`send(body, now)` sends one INFO; `told(sent, status)` is called when all were taken, or one was refused."""
        self._send = send
        self._told = told
        self._waiting: deque[bytes] = deque()  # bodies
        self._asked = False  # whether an INFO has no final response; by how many requests, of challenges, is all one
        self._sent = 0
        self._timers = TimerSet()

    @property
    def busy(self) -> bool:
        """Whether keys are on their way."""
        return bool(self._waiting)

    def press(self, digits: str, *, now: float) -> None:
        """Send these; nothing may be on its way. Raises `LocalProtocolError` for what is no key."""
        self._waiting.extend([relay_body(digit, PRESS_MS) for digit in digits])
        self._sent = 0
        self._press(now)

    def _press(self, now: float) -> None:
        self._asked = True
        self._send(self._waiting[0], now)
        self._timers.start(Timer.KEY, now + (PRESS_MS + PAUSE_MS) / 1000)

    def timer_at(self) -> float | None:
        """When `handle_timer` is due."""
        return None if self._asked else self._timers.next_at()

    def handle_timer(self, *, now: float) -> None:
        """Let time pass."""
        if not self._asked and self._timers.pop_due(now) is not None:
            self._next(now)

    def answered(self, status: int, *, now: float) -> None:
        """Take the final status of the INFO that is under way; 408 where none came."""
        if not self._asked:
            return  # stopped meanwhile
        self._asked = False
        if status >= 300:
            self._end(status)
        else:
            self.handle_timer(now=now)

    def _next(self, now: float) -> None:
        self._waiting.popleft()
        self._sent += 1
        if self._waiting:
            self._press(now)
        else:
            self._end(200)

    def stop(self) -> None:
        """Stop: the session is over."""
        self._waiting.clear()
        self._timers.stop_all()
        self._asked = False

    def _end(self, status: int) -> None:
        self.stop()
        self._told(self._sent, status)
