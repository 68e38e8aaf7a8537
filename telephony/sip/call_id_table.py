"""`CallIdTable`: which worker each call belongs to, by its SIP Call-ID."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

IDLE_S = 4 * 3600.0
"""How long a call that is up may say nothing before it is taken for lost; nothing here refreshes sessions."""

LINGER_S = 64.0
"""How long a Call-ID without a call is remembered: twice the 32 s in which it may be repeated."""

MAX_ENTRIES = 100_000


@dataclass(frozen=True, slots=True)
class Binding:
    """Whose a Call-ID is; None: nobody's, its request with this CSeq was refused."""

    worker: int | None
    refused_cseq: int | None = None


@dataclass(slots=True)
class _Entry:
    binding: Binding
    expires_at: float


class CallIdTable:
    """Call-IDs of calls that are up, and of those that linger. Times are seconds."""

    def __init__(self, *, idle_s: float = IDLE_S, linger_s: float = LINGER_S, max_entries: int = MAX_ENTRIES) -> None:
        self._idle_s = idle_s
        self._linger_s = linger_s
        self._max = max_entries
        # Each ordered by its last use, so what expires first is in front.
        self._kept: OrderedDict[str, _Entry] = OrderedDict()
        self._lingering: OrderedDict[str, _Entry] = OrderedDict()

    def __len__(self) -> int:
        """Count the Call-IDs that are known."""
        return len(self._kept) + len(self._lingering)

    def bind(self, call_id: str, binding: Binding, *, now: float) -> None:
        """Note whose a Call-ID is for a while; `keep` makes that last."""
        self._kept.pop(call_id, None)
        self._put(self._lingering, call_id, binding, now + self._linger_s)

    def keep(self, call_id: str, worker: int, *, now: float) -> None:
        """Note that a worker has a call by this Call-ID."""
        self._lingering.pop(call_id, None)
        self._put(self._kept, call_id, Binding(worker), now + self._idle_s)

    def release(self, call_id: str, *, now: float) -> None:
        """Note that the call is over."""
        entry = self._kept.pop(call_id, None)
        if entry is not None:
            self._put(self._lingering, call_id, entry.binding, now + self._linger_s)

    def find(self, call_id: str, *, now: float) -> Binding | None:
        """Look a Call-ID up, which keeps it from expiring."""
        for entries, stay_s in ((self._kept, self._idle_s), (self._lingering, self._linger_s)):
            entry = entries.get(call_id)
            if entry is not None and entry.expires_at > now:
                self._put(entries, call_id, entry.binding, now + stay_s)
                return entry.binding
        return None

    def forget_worker(self, worker: int) -> list[str]:
        """Forget all that a worker had: it is gone, and its calls with it; gives their Call-IDs."""
        forgotten: list[str] = []
        for entries in (self._kept, self._lingering):
            for call_id in [name for name, entry in entries.items() if entry.binding.worker == worker]:
                del entries[call_id]
                forgotten.append(call_id)
        return forgotten

    def expire(self, *, now: float) -> None:
        """Forget what has been silent for too long."""
        for entries in (self._kept, self._lingering):
            while entries and next(iter(entries.values())).expires_at <= now:
                entries.popitem(last=False)

    def _put(self, entries: OrderedDict[str, _Entry], call_id: str, binding: Binding, expires_at: float) -> None:
        entries[call_id] = _Entry(binding, expires_at)
        entries.move_to_end(call_id)
        while len(self) > self._max:
            (self._lingering or self._kept).popitem(last=False)
