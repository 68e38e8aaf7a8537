"""The batches of each step, made ready on the processor while the device works at the step before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from finetune.config import BatchSettings, LossSettings
from finetune.training.batch import Batch, collate
from finetune.training.corpus import Item, TrainingCorpus
from finetune.training.loss import Counts
from finetune.training.plan import Planned, steps
from finetune.training.sample import Sample, depth_masks, without_ends

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ready:
    """One optimiser step: this process's batches, and what is counted over those of all; `place` is in its epoch.

    `idle` is a batch to run for nothing, where others have one more and all must run as many.
    """

    epoch: int
    place: int
    batches: tuple[Batch, ...]
    counts: Counts
    positions: int
    idle: Batch | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """What the batches are made of, and which of them are this process's."""

    corpus: TrainingCorpus
    items: Sequence[Item]
    batches: BatchSettings
    loss: LossSettings
    seed: int
    rank: int = 0
    processes: int = 1
    pinned: bool = False
    in_step: bool = False
    """All processes must run as many batches."""

    def steps(self, *, epoch: int, place: int) -> Iterator[Ready]:
        """Give step after step from a place in an epoch on, without end; a function of the seed and the place."""
        while True:
            planned = steps(self.items, self.batches, seed=self.seed, epoch=epoch)
            for index in range(place, len(planned)):
                step = planned[index]
                own = step[self.rank :: self.processes]
                counts = sum((self._counts(sample) for batch in step for sample in batch), Counts(0, 0, 0))
                positions = sum(sample.positions for batch in step for sample in batch)
                short = self.in_step and len(own) < -(-len(step) // self.processes)
                idle = self._batch(step[0], epoch) if short else None
                yield Ready(epoch, index, tuple(self._batch(b, epoch) for b in own), counts, positions, idle)
            epoch, place = epoch + 1, 0

    def _counts(self, planned: Planned) -> Counts:
        return self.items[planned.item].counts(self.loss.depth_share, ends=self.loss.ends == "labelled")

    def _batch(self, planned: Sequence[Planned], epoch: int) -> Batch:
        samples = [self._sample(one) for one in planned]
        rng = np.random.default_rng([self.seed, epoch, planned[0].item])
        batch = collate(samples, depth_masks(samples, share=self.loss.depth_share, rng=rng))
        return batch.pinned() if self.pinned else batch

    def _sample(self, planned: Planned) -> Sample:
        context = None if planned.context is None else self.items[planned.context]
        sample = self.corpus.sample(self.items[planned.item], context)
        return sample if self.loss.ends == "labelled" else without_ends(sample)


def ahead(source: Iterator[T]) -> Iterator[T]:
    """Give what the source gives; the next one is made in a thread while this one is in use."""
    following: Callable[[], T | None] = lambda: next(source, None)  # noqa: E731 - of this source, for the thread
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(following)
        while (item := waiting.result()) is not None:
            waiting = thread.submit(following)
            yield item
