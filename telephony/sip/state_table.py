"""`StateMachine`: a state that nothing but a step through its table can change."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Generic, TypeVar

S = TypeVar("S", bound=Enum)
C = TypeVar("C", bound=Enum)


class StateMachine(Generic[S, C]):
    """Holds the current state; what is not in the table does not happen."""

    def __init__(self, table: Mapping[tuple[S, C], S], state: S) -> None:
        self._table = table
        self._state = state

    @property
    def state(self) -> S:
        """The current state."""
        return self._state

    def step(self, cause: C) -> bool:
        """Move; False, and nothing happens, where the table has no entry."""
        after = self._table.get((self._state, cause))
        if after is None:
            return False
        self._state = after
        return True
