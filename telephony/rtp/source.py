"""Whom to believe: the one address that a call's RTP comes from (symmetric RTP, RFC 4961), learnt once and kept.

A packet is taken from the address that SDP named, or from one that sent three in a row (a peer behind NAT). From then
on others are refused, so that nobody can speak into a call by guessing its port, unless the known source has been
silent for some seconds. A hold is no such silence: the source need not send then, nothing is learnt while it lasts, and
after it the known source is waited for anew; only its own host may come from another port at once, as NATs have it.
"""

from __future__ import annotations

from typing import TypeAlias

Address: TypeAlias = tuple[str, int]

_PROBATION = 3
_FORMER_PROBATION = 50  # the source from before a re-INVITE may go on sending a while: a second of packets
_RELEARN_AFTER_S = 5.0


class SourceLock:
    """The source of one session's RTP."""

    def __init__(self) -> None:
        self.locked: Address | None = None
        self.refused = 0  # packets
        self._named: Address | None = None
        self._former: Address | None = None
        self._heard_at = 0.0
        self._candidate: Address | None = None
        self._candidate_next = 0
        self._candidate_count = 0
        self._held = self._resumed = False

    def hold(self) -> None:
        """Note that nothing is listened to from now on."""
        self._held = True

    def resume(self, *, now: float) -> None:
        """Note that it is listened again: who was silent meanwhile had leave to be."""
        if self._held:
            self._held, self._resumed, self._heard_at = False, True, now
            self._candidate = None

    def expect(self, named: Address | None) -> None:
        """Take the address of a new SDP; another one than before unlocks, none at all (a hold by 0.0.0.0) does not."""
        if named is None:
            return
        if named != self._named:
            self._former, self.locked = self.locked, None
            self._candidate = None
        self._named = named

    def admits(self, source: Address, *, sequence: int, now: float) -> bool:
        """Say whether a valid packet from `source` is to be taken, and learn from it."""
        if source == self.locked:
            self._heard_at, self._resumed = now, False
            return True
        if source == self._named or self._passes_probation(source, sequence, now):
            self.locked, self._former = source, None
            self._candidate = None
            self._heard_at, self._resumed = now, False
            return True
        self.refused += 1
        return False

    def _passes_probation(self, source: Address, sequence: int, now: float) -> bool:
        if self._held or (self.locked is not None and not self._may_move(self.locked, source, now)):
            return False
        if source == self._candidate and sequence == self._candidate_next:
            self._candidate_count += 1
        else:
            self._candidate, self._candidate_count = source, 1
        self._candidate_next = sequence + 1 & 0xFFFF
        return self._candidate_count >= (_FORMER_PROBATION if source == self._former else _PROBATION)

    def _may_move(self, known: Address, source: Address, now: float) -> bool:
        return now - self._heard_at >= _RELEARN_AFTER_S or (self._resumed and source[0] == known[0])
