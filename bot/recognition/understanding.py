"""The understanding step behind the flow's `Understand`: which of a state's candidates is meant, if any."""

from __future__ import annotations

from typing import Protocol

from bot.flows.actions import Candidate, Understood


class Understander(Protocol):
    """Chooses among candidates; `Understood(intent=None)` where none fits. Never raises for the text's sake."""

    async def understand(self, text: str, candidates: tuple[Candidate, ...]) -> Understood:
        """Choose; `text` is what the caller said, as recognised."""
        ...

    async def prepare(self, candidates: tuple[Candidate, ...]) -> None:
        """Do beforehand what can be done for a state, so that no caller waits for it."""
        ...
