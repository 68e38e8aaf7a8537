"""`Homes`: which of several speech servers each conversation speaks through.

A conversation keeps to one server, which knows what it said; it moves when another one speaks in its place, and stays
there. A new one goes where the fewest are. Pure: told of what happened and when (*now*, monotonic seconds), asked where
to go.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MOST = 20_000  # conversations remembered; beyond, the one that was asked for longest ago is forgotten
STEADY_S = 30.0  # who goes again so soon after coming back is let alone for twice as long, at most for this
MOST_FAILURES = 2  # utterances in a row that a server did not bring to their end; one may be that utterance's fault


@dataclass(slots=True)
class _Place:
    home: int
    settled: bool = False  # it has spoken there; until then it lives where it was asked last
    knowing: tuple[int, ...] = ()  # servers that it was asked of, the last one last: each may have kept something


class Homes:
    """Of one client; servers are numbers from 0."""

    def __init__(self, servers: int, *, most: int = MOST, first: int = 0) -> None:
        """`first` is asked first as long as all are equal, so that not all clients begin with the same one."""
        self._most = most
        self._away: set[int] = set()
        self._order = [(first + number) % servers for number in range(servers)]
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._living = [0] * servers
        self._failures = [0] * servers
        self._rest_s = [0.0] * servers
        self._back_at = [float("-inf")] * servers

    @property
    def away(self) -> frozenset[int]:
        """Servers that gave no answer, and have not come back."""
        return frozenset(self._away)

    def order(self, conversation: str | None) -> list[int]:
        """All servers, the first to be asked first: its home, then by how few live there; who is away comes last."""
        place = self._places.get(conversation) if conversation is not None else None
        home = place.home if place is not None else None
        return sorted(self._order, key=lambda each: (each in self._away, each != home, self._living[each]))

    def asked(self, conversation: str, server: int) -> None:
        """Note that it is asked of a server; one that has spoken nowhere yet lives there, before the next is sent."""
        place = self._places.get(conversation)
        if place is None:
            self._places[conversation] = place = _Place(server)
            self._living[server] += 1
            if len(self._places) > self._most:
                self.forget(next(iter(self._places)))
        elif not place.settled:
            self._move(place, server)
        place.knowing = (*(each for each in place.knowing if each != server), server)
        self._places.move_to_end(conversation)

    def spoke(self, conversation: str | None, server: int) -> None:
        """Note that a server that was asked speaks: the conversation lives there from now on."""
        place = self._places.get(conversation) if conversation is not None else None
        if place is not None:
            self._move(place, server)
            place.settled = True

    def finished(self, server: int) -> None:
        """Note that a server said an utterance to its end."""
        self._failures[server] = 0

    def knowing(self, conversation: str) -> tuple[int, ...]:
        """Say which servers may know of a conversation."""
        place = self._places.get(conversation)
        return place.knowing if place is not None else ()

    def forget(self, conversation: str) -> tuple[int, ...]:
        """Say which servers may know of a conversation, and forget it."""
        place = self._places.pop(conversation, None)
        if place is None:
            return ()
        self._living[place.home] -= 1
        return place.knowing

    def failed(self, server: int) -> bool:
        """Note that a server took an utterance and did not say it, or not all; whether to take it for gone."""
        self._failures[server] += 1
        return self._failures[server] >= MOST_FAILURES

    def left(self, server: int, *, rest_s: float, now: float) -> float | None:
        """Note that a server gave no answer; for how long to let it alone, or None where it is away already."""
        if server in self._away:
            return None
        self._away.add(server)
        soon = now - self._back_at[server] < STEADY_S
        self._rest_s[server] = max(rest_s, min(2 * self._rest_s[server], STEADY_S)) if soon else rest_s
        return self._rest_s[server]

    def came_back(self, server: int, *, now: float) -> bool:
        """Note that it answers; whether it was away."""
        if server not in self._away:
            return False
        self._away.discard(server)
        self._back_at[server] = now
        return True

    def _move(self, place: _Place, server: int) -> None:
        self._living[place.home] -= 1
        self._living[server] += 1
        place.home = server
