"""`Conversation`: what one call remembers, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum


class Speaker(Enum):
    """Who spoke a turn; the value is CSM's speaker id in the prompt."""

    BOT = 0
    CALLER = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """One stretch of speech by one side.

    `turn_id` also names the turn's audio codes in the speech server's store, so that a turn is
    written once and only quoted afterwards.
    """

    turn_id: str
    speaker: Speaker
    text: str  # personal
    started_at: float  # wall clock, seconds since the epoch
    duration_s: float  # audio produced (bot) or heard (caller)
    heard_s: float | None = None  # bot turns: what the caller heard before barging in; None: all


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns of one call, oldest first."""

    call_id: str
    turns: tuple[Turn, ...] = ()

    def with_turn(self, turn: Turn) -> Conversation:
        """Add a turn, or replace the one with its id."""
        others = tuple(t for t in self.turns if t.turn_id != turn.turn_id)
        return replace(self, turns=(*others, turn))
