from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch

from finetune.config import BatchSettings, LossSettings
from finetune.training.corpus import TrainingCorpus
from finetune.training.feed import Feed, Ready, ahead
from tests.unit.finetune.prepared import write_prepared_folder
from tests.unit.finetune.tiny import CODEBOOKS, Base

BATCHES = BatchSettings(positions_per_step=160, positions_per_batch=60, context_share=0.5)


@pytest.fixture(scope="module")
def corpus(base: Base, tmp_path_factory: pytest.TempPathFactory) -> TrainingCorpus:
    folder: Path = write_prepared_folder(tmp_path_factory.mktemp("feed") / "prepared")
    return TrainingCorpus(folder, base.builder, num_codebooks=CODEBOOKS, codec="")


def feed(corpus: TrainingCorpus, rank: int = 0, processes: int = 1, **change: object) -> Feed:
    loss = LossSettings(depth_share=0.5)
    return Feed(corpus, corpus.items("train"), BATCHES, loss, 0, rank, processes, **change)  # type: ignore[arg-type]


def same(left: Ready, right: Ready) -> bool:
    pairs = zip(left.batches, right.batches, strict=True)
    names = left.batches[0].__slots__
    return all(torch.equal(getattr(a, name), getattr(b, name)) for a, b in pairs for name in names)


def test_a_feed_that_begins_in_the_middle_gives_what_the_whole_one_gives_there(corpus: TrainingCorpus):
    whole = list(islice(feed(corpus).steps(epoch=0, place=0), 6))
    for ready in whole:
        assert same(next(feed(corpus).steps(epoch=ready.epoch, place=ready.place)), ready)
    assert len({ready.epoch for ready in whole}) > 1


def test_processes_share_out_the_batches_of_a_step_and_count_them_all(corpus: TrainingCorpus):
    alone = next(feed(corpus).steps(epoch=0, place=0))
    shared = [next(feed(corpus, rank, 2).steps(epoch=0, place=0)) for rank in range(2)]
    assert len(alone.batches) == sum(len(one.batches) for one in shared)
    assert {one.counts for one in shared} == {alone.counts}
    assert sum(len(batch.target) for batch in alone.batches) == alone.counts.frames
    assert sum(len(batch.depth) for batch in alone.batches) == alone.counts.depth_frames


def test_in_step_each_process_runs_as_many_batches_some_of_them_for_nothing(corpus: TrainingCorpus):
    for processes in (2, 3, 5):
        ready = [next(feed(corpus, rank, processes, in_step=True).steps(epoch=0, place=0)) for rank in range(processes)]
        assert len({len(one.batches) + (one.idle is not None) for one in ready}) == 1


def test_what_is_ahead_is_made_in_a_thread_and_comes_in_order():
    names: list[str] = []

    def source() -> Iterator[int]:
        for number in range(1, 6):
            names.append(threading.current_thread().name)
            yield number

    assert list(ahead(source())) == [1, 2, 3, 4, 5]
    assert threading.main_thread().name not in names


def test_what_fails_while_it_is_made_fails_where_it_is_wanted():
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken shard")

    given = ahead(source())
    assert next(given) == 1
    with pytest.raises(ValueError, match="broken shard"):
        next(given)
