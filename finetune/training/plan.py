"""Which samples go into which step: a pure function of the items, the settings, the seed and the epoch.

So a run that was killed goes on with the very batches it would have had, and the number of devices changes only who
takes which batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from finetune.config import BatchSettings
from finetune.training.corpus import Item

_BUCKET = 256
"""Samples that are sorted by length together, at the least; large batches want more, or they would be half padding."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An item by its number, and the one to be read before it."""

    item: int
    context: int | None
    positions: int


Step = tuple[tuple[Planned, ...], ...]
"""The batches of one optimiser step."""


def steps(items: Sequence[Item], settings: BatchSettings, *, seed: int, epoch: int) -> list[Step]:
    """Plan an epoch: every item once, none left over."""
    rng = np.random.default_rng([seed, epoch])
    samples = _samples(items, settings, rng)
    batches = list(_batches(samples, settings.positions_per_batch))
    order = rng.permutation(len(batches))
    planned: list[Step] = []
    step: list[tuple[Planned, ...]] = []
    for index in order:
        step.append(batches[index])
        # one more batch would be further from the aim than this is
        half = sum(sample.positions for sample in step[-1]) / 2
        if sum(sample.positions for batch in step for sample in batch) + half > settings.positions_per_step:
            planned.append(tuple(step))
            step = []
    return [*planned, tuple(step)] if step else planned


def _samples(items: Sequence[Item], settings: BatchSettings, rng: np.random.Generator) -> list[Planned]:
    """Put items in a new order; a share of the single clips gets another of the voice before it, if there is room."""
    voices: defaultdict[int, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        if len(item.entries) == 1:
            voices[item.voice].append(number)
    samples: list[Planned] = []
    order, draws = rng.permutation(len(items)).tolist(), rng.random((len(items), 2)).tolist()
    for number, (drawn, chance) in zip(order, draws, strict=True):
        item, context = items[number], None
        if chance < settings.context_share and len(item.entries) == 1:
            own = voices[item.voice]
            chosen = own[int(drawn * len(own))]
            room = settings.positions_max - item.positions
            context = chosen if chosen != number and items[chosen].positions <= room else None
        length = item.positions + (items[context].positions if context is not None else 0)
        samples.append(Planned(number, context, length))
    return samples


def _batches(samples: Sequence[Planned], positions: int) -> Iterator[tuple[Planned, ...]]:
    """Cut buckets of like length into batches that take at most so many positions, padding included."""
    mean = sum(sample.positions for sample in samples) / max(len(samples), 1)
    bucket = max(_BUCKET, round(16 * positions / max(mean, 1.0)))
    for start in range(0, len(samples), bucket):
        batch: list[Planned] = []
        for sample in sorted(samples[start : start + bucket], key=lambda s: s.positions):
            if batch and (len(batch) + 1) * sample.positions > positions:
                yield tuple(batch)
                batch = []
            batch.append(sample)
        if batch:
            yield tuple(batch)
