"""`PlayoutLedger`: which part of what the bot said has left towards the caller.

The leg counts bot audio in milliseconds (`played_ms`). The ledger lays the bot's turns one after
the other on that count, so that after a barge-in it is known what was heard of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of one bot turn was produced and how much of that was played."""

    turn_id: str
    produced_ms: int
    heard_ms: int


@dataclass(slots=True)
class _Entry:
    turn_id: str
    starts_at_ms: int
    produced_ms: int = 0


@dataclass(slots=True)
class PlayoutLedger:
    """Told what is queued towards the leg, and at which count the leg stands."""

    _entries: list[_Entry] = field(default_factory=list[_Entry])
    _end_ms: int = 0
    _over: frozenset[str] = frozenset()  # turns that were settled: what still comes of them is dropped

    def produced(self, turn_id: str, ms: int) -> None:
        """Audio of a turn has been queued, after everything queued before."""
        if turn_id in self._over:
            return
        if not self._entries or self._entries[-1].turn_id != turn_id:
            self._entries.append(_Entry(turn_id, self._end_ms))
        self._entries[-1].produced_ms += ms
        self._end_ms += ms

    def settle(self, played_ms: int, turns: Iterable[str] = ()) -> tuple[Heard, ...]:
        """All queued audio was played or dropped and the leg stands at `played_ms`: close the turns."""
        self._over = frozenset(turns) or self._over
        heard = tuple(
            Heard(e.turn_id, e.produced_ms, min(max(played_ms - e.starts_at_ms, 0), e.produced_ms))
            for e in self._entries
        )
        self._entries.clear()
        self._end_ms = played_ms
        return heard
