"""`KneeSearch`: the highest load at which every promise holds; doubles until one breaks, then halves the interval."""

from __future__ import annotations


class KneeSearch:
    """Ask `next_load`, run it, tell `record`; until None comes. The knee is the last load at which all was well.

    A stage that the generator spoiled says nothing of the bot: it is run once more. One that is spoiled again ends the
    search, since where this generator cannot measure, a higher load or one beside it would be guessed.
    """

    def __init__(self, *, first: int, limit: int, resolution: float = 0.1) -> None:
        """Stop at `limit` calls, or once good and bad lie within `resolution` of the good one."""
        self._next: int | None = min(max(1, first), limit)
        self._limit = limit
        self._resolution = resolution
        self._good = 0
        self._bad: int | None = None
        self._spoiled: int | None = None
        self._stopped_at: int | None = None

    @property
    def knee(self) -> int:
        """The highest load that held below every load that did not; 0: none."""
        return self._good

    @property
    def bounded(self) -> bool:
        """Whether a load was found that does not hold; else the knee lies at `limit` or beyond."""
        return self._bad is not None

    @property
    def stopped_at(self) -> int | None:
        """The load that the generator spoiled twice; None: none. The knee may lie above the one that was found."""
        return self._stopped_at

    def next_load(self) -> int | None:
        """The load to try; None: the search is over."""
        return self._next

    def record(self, load: int, *, held: bool) -> None:
        """Take the outcome of a stage."""
        if held:
            self._good = max(self._good, load)
        else:
            self._bad = load if self._bad is None else min(self._bad, load)
        self._next = self._choose()

    def spoiled(self, load: int) -> None:
        """Take note of a stage that the generator spoiled."""
        if self._spoiled == load:
            self._stopped_at, self._next = load, None
        self._spoiled = load

    def _choose(self) -> int | None:
        if self._bad is None:
            return None if self._good >= self._limit else min(self._limit, 2 * self._good)
        low, high = self._good, self._bad
        if high - low <= max(1, int(low * self._resolution)):
            return None
        return (low + high) // 2
