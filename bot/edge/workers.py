"""`WorkerPool`: which worker takes the next call. The shell asks each for its status; this counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Places:
    capacity: int = 0
    active: int = 0
    promised: int = 0  # calls given since the last report
    serving: bool = False

    @property
    def free(self) -> int:
        return self.capacity - self.active - self.promised if self.serving else 0


class WorkerPool:
    """Told what workers report; picks the one with the most free places."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._workers = {name: _Places() for name in names}
        self.draining = False

    def drain(self) -> None:
        """Give no more calls, to a worker that is started anew meanwhile either."""
        self.draining = True

    def report(self, name: str, *, capacity: int, active: int) -> None:
        """A worker answered."""
        self._workers[name] = _Places(capacity, active, 0, serving=True)

    def lost(self, name: str) -> None:
        """A worker did not answer: it gets no calls until it does."""
        self._workers[name].serving = False

    def pick(self) -> str | None:
        """Promise a place in the worker with the most; None when there is none."""
        name, places = max(self._workers.items(), key=lambda item: item[1].free)
        if self.draining or places.free <= 0:
            return None
        places.promised += 1
        return name

    @property
    def free(self) -> int:
        """Places free in all workers."""
        return sum(max(0, places.free) for places in self._workers.values())

    @property
    def active(self) -> int:
        """Calls under way in all workers, as last reported."""
        return sum(places.active for places in self._workers.values())

    @property
    def serving(self) -> tuple[str, ...]:
        """Workers that answer."""
        return tuple(name for name, places in self._workers.items() if places.serving)
