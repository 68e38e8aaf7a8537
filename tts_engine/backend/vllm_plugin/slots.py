"""Which slot a request has, from its first step to its end, also while vLLM has it preempted.

vLLM's own rows cannot serve: version 2 of its runner says "removed" both of a request that ended and of one that it
preempted. Here a request removed before it was seen to end keeps its slot for a while.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """`fresh`: a new request. Else one that comes back, with what its slot holds. `evicted` lost its slot to it."""

    slot: int
    fresh: bool
    evicted: int | None = None


class Slots:
    """Slots 0 to `count` - 1 by request key; a removed request may come back within `kept_s`."""

    def __init__(self, count: int, *, kept_s: float) -> None:
        self._free = deque(range(count))  # the one that is free for the longest comes first
        self._kept_s = kept_s
        self._live: dict[int, int] = {}
        self._removed: OrderedDict[int, tuple[int, float]] = OrderedDict()
        self._ended: set[int] = set()

    def __getitem__(self, key: int) -> int:
        return self._live[key]

    def add(self, key: int, *, now: float) -> Place:
        """Give a slot; there is always one, since live requests are fewer than slots."""
        if key in self._removed:
            slot, _ = self._removed.pop(key)
            self._live[key] = slot
            return Place(slot, fresh=False)
        self._expire(now)
        evicted = None
        if not self._free:
            evicted, (slot, _) = self._removed.popitem(last=False)
            self._free.append(slot)
        slot = self._live[key] = self._free.popleft()
        return Place(slot, fresh=True, evicted=evicted)

    def remove(self, key: int, *, now: float) -> None:
        """Take a request out that ended, was aborted or was preempted."""
        slot = self._live.pop(key, None)
        if slot is None:
            return
        if key in self._ended:
            self._ended.discard(key)
            self._free.append(slot)
        else:
            self._removed[key] = (slot, now)

    def ended(self, key: int) -> None:
        """Note that a request said its last frame: once removed it will not come back."""
        if key in self._live:
            self._ended.add(key)
        elif key in self._removed:
            slot, _ = self._removed.pop(key)
            self._free.append(slot)

    def _expire(self, now: float) -> None:
        while self._removed:
            key, (slot, removed_at) = next(iter(self._removed.items()))
            if now - removed_at < self._kept_s:
                return
            del self._removed[key]
            self._free.append(slot)
