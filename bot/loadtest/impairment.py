"""`Impairment`: a bad network for one direction: loss in bursts, delay, jitter, reordering; seeded by its dice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Loss in two states, as a packet sees them (Gilbert 1960, Elliott 1963).

    Of packets in the good state `good_loss` are lost, in the bad one `bad_loss`; `to_bad` and `to_good` are the chances
    to change the state before a packet.
    """

    to_bad: float = 0.0
    to_good: float = 1.0
    good_loss: float = 0.0
    bad_loss: float = 1.0

    @classmethod
    def of(cls, loss: float, burst: float) -> GilbertElliott:
        """Build the chain that loses the share `loss`, in bursts of `burst` packets on average (1: as coins fall)."""
        if loss <= 0:
            return cls()
        if burst <= 1:
            return cls(good_loss=loss)
        to_good = 1 / burst
        return cls(to_bad=min(1.0, loss * to_good / (1 - loss)), to_good=to_good)


@dataclass(frozen=True, slots=True)
class NetworkModel:
    """One direction."""

    loss: GilbertElliott = GilbertElliott()
    delay_s: float = 0.0
    jitter_s: float = 0.0  # each packet is late by 0 to so much
    reorder: float = 0.0  # share of packets held back by `reorder_s` more, so that later ones overtake them
    reorder_s: float = 0.03


class Impairment:
    """Decides the fate of each packet. Only `reorder` lets one overtake another: jitter alone keeps the order."""

    def __init__(self, model: NetworkModel, *, dice: Callable[[], float]) -> None:
        """`dice` draws from 0..1; the same draws give the same network."""
        self._model = model
        self._dice = dice
        self._bad = False
        self._last_at = float("-inf")
        self.passed = 0
        self.lost = 0
        self.reordered = 0

    def take(self, *, now: float) -> float | None:
        """Say when a packet that comes now goes on; None: never."""
        model, chain = self._model, self._model.loss
        change = chain.to_good if self._bad else chain.to_bad
        if self._dice() < change:
            self._bad = not self._bad
        if self._dice() < (chain.bad_loss if self._bad else chain.good_loss):
            self.lost += 1
            return None
        self.passed += 1
        at = now + model.delay_s + model.jitter_s * self._dice()
        if self._dice() < model.reorder:
            self.reordered += 1
            return at + model.reorder_s
        self._last_at = max(at, self._last_at)
        return self._last_at
