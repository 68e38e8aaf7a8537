"""`Homes`: which of several speech servers each conversation speaks through.

A conversation keeps to one server, which knows what it said; it moves when that one is away or full, and stays where it
has moved to. A new one goes where the fewest are. Pure: told of what happened, asked where to go.
"""

from __future__ import annotations

from collections import OrderedDict

MOST = 20_000  # conversations remembered; beyond, the one that was asked for longest ago is forgotten


class Homes:
    """Of one client; servers are numbers from 0."""

    def __init__(self, servers: int, *, most: int = MOST, first: int = 0) -> None:
        """`first` is asked first as long as all are equal, so that not all clients begin with the same one."""
        self._most = most
        self._away: set[int] = set()
        self._order = [(first + number) % servers for number in range(servers)]
        self._been: OrderedDict[str, tuple[int, ...]] = OrderedDict()  # servers it has spoken through, home last
        self._living = [0] * servers

    @property
    def away(self) -> frozenset[int]:
        """Servers that gave no answer, and have not come back."""
        return frozenset(self._away)

    def order(self, conversation: str | None) -> list[int]:
        """All servers, the first to be asked first: its home, then by how few live there; who is away comes last."""
        home = self._been[conversation][-1] if conversation in self._been else None
        return sorted(self._order, key=lambda each: (each in self._away, each != home, self._living[each]))

    def moved(self, conversation: str, server: int) -> None:
        """Note where it speaks now."""
        been = self._been.pop(conversation, ())
        if been:
            self._living[been[-1]] -= 1
        self._been[conversation] = (*(each for each in been if each != server), server)
        self._living[server] += 1
        if len(self._been) > self._most:
            self.forget(next(iter(self._been)))

    def forget(self, conversation: str) -> tuple[int, ...]:
        """Say which servers know of a conversation, and forget it."""
        been = self._been.pop(conversation, ())
        if been:
            self._living[been[-1]] -= 1
        return been

    def left(self, server: int) -> None:
        """Note that a server gave no answer."""
        self._away.add(server)

    def came_back(self, server: int) -> None:
        """Note that it answers again."""
        self._away.discard(server)
