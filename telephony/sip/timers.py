"""The timers of RFC 3261 (table 4, section 17): their lengths, those of one machine, and those of many."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Timings:
    """Base values, in seconds; tests shorten them, networks with long delays lengthen them."""

    t1_s: float = 0.5  # estimate of a round trip
    t2_s: float = 4.0  # longest gap between retransmissions
    t4_s: float = 5.0  # how long a message may stay in the network

    @property
    def give_up_s(self) -> float:
        """64*T1: timers B, D, F, H, J, L, M, and how long a 2xx waits for its ACK."""
        return 64 * self.t1_s


class Timer(Enum):
    """Timers by the letters of RFC 3261 and RFC 6026, and those of the layers above."""

    A = auto()  # INVITE request retransmission
    B = auto()  # INVITE transaction timeout
    D = auto()  # wait for response retransmissions
    E = auto()  # other request retransmission
    F = auto()  # other transaction timeout
    G = auto()  # INVITE response retransmission
    H = auto()  # wait for ACK
    I = auto()  # wait for ACK retransmissions  # noqa: E741 - the RFC's name
    J = auto()  # wait for request retransmissions
    K = auto()  # wait for response retransmissions
    L = auto()  # wait for INVITE retransmissions after a 2xx (RFC 6026)
    M = auto()  # wait for more 2xx (RFC 6026)
    RESEND_OK = auto()  # 2xx retransmission, section 13.3.1.4
    ACK_WAIT = auto()  # no ACK for the 2xx
    RINGING = auto()  # a provisional response every minute, section 13.3.1.1
    EXPIRES = auto()  # the caller's own limit, section 13.3.1
    CANCEL_WAIT = auto()  # no final response after CANCEL, section 9.1
    REFRESH = auto()  # a registration before it expires, section 10.2.4; a session, RFC 4028
    SESSION_END = auto()  # nobody refreshed the session, RFC 4028 section 10
    RETRY = auto()  # a registrar after it refused, RFC 5626 section 4.5
    KEEP_ALIVE = auto()  # CRLF towards a trunk, RFC 5626 section 4.4
    PONG = auto()  # no answer to it, RFC 5626 section 4.4.1
    PROBE = auto()  # OPTIONS towards a trunk
    KEY = auto()  # a key press by INFO and the pause after it are over
    NEXT_SERVER = auto()  # a server has not answered our INVITE at all, RFC 3263 section 4.3
    REOFFER = auto()  # try a re-INVITE again after 491, section 14.1


class TimerSet:
    """The running timers of one machine. Times are seconds on the clock that `now` comes from."""

    def __init__(self) -> None:
        self._at: dict[Timer, float] = {}

    def start(self, timer: Timer, at: float) -> None:
        """Start a timer, or start it again."""
        self._at[timer] = at

    def stop(self, *timers: Timer) -> None:
        """Stop timers that may or may not be running."""
        for timer in timers:
            self._at.pop(timer, None)

    def stop_all(self) -> None:
        """Stop every timer."""
        self._at.clear()

    def next_at(self) -> float | None:
        """When the first one is due, or None."""
        return min(self._at.values(), default=None)

    def pop_due(self, now: float) -> Timer | None:
        """Take the earliest timer that is due, or None."""
        timer = min(self._at, key=self._at.__getitem__, default=None)
        if timer is None or self._at[timer] > now:
            return None
        del self._at[timer]
        return timer


class Schedule(Generic[K]):
    """Which of many machines is due first: a heap whose outdated entries are skipped."""

    def __init__(self) -> None:
        self._at: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = 0

    def set(self, key: K, at: float | None) -> None:
        """Say when a machine is due next; None: not at all."""
        if at is None:
            self._at.pop(key, None)
        elif self._at.get(key) != at:
            self._at[key] = at
            self._order += 1
            heapq.heappush(self._heap, (at, self._order, key))
            if len(self._heap) > 2 * len(self._at) + 64:
                self._heap = [entry for entry in self._heap if self._at.get(entry[2]) == entry[0]]
                heapq.heapify(self._heap)

    def next_at(self) -> float | None:
        """When the first one is due, or None."""
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> K | None:
        """Take the first machine that is due, or None."""
        at = self.next_at()
        if at is None or at > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._at[key]
        return key
