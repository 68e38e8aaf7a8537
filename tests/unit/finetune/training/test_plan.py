from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finetune.config import BatchSettings
from finetune.data.clip import Clip
from finetune.data.manifest import Entry
from finetune.training.corpus import Item
from finetune.training.plan import steps


def items(lengths: list[int], voices: int = 1) -> list[Item]:
    clips = [Clip(f"{n}", "", "a", "0", 1.0, "", "", None, 0.0, 0.0) for n in range(len(lengths))]
    return [
        Item((Entry(clip, "train", n % voices, "", length - 5),), length)
        for n, (clip, length) in enumerate(zip(clips, lengths, strict=True))
    ]


@given(st.lists(st.integers(10, 300), min_size=1, max_size=60), st.integers(0, 3))
def test_an_epoch_has_every_item_once_and_no_batch_is_over_its_size(lengths: list[int], epoch: int):
    settings = BatchSettings(positions_per_step=900, positions_per_batch=700, positions_max=650)
    planned = steps(items(lengths), settings, seed=1, epoch=epoch)
    batches = [batch for step in planned for batch in step]
    assert sorted(s.item for batch in batches for s in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(s.positions for s in batch) <= 700
        assert all(s.positions <= 650 for s in batch)
    for step in planned[:-1]:
        last = sum(s.positions for s in step[-1])
        assert 900 - last / 2 < sum(s.positions for batch in step for s in batch) < 900 + last
    assert steps(items(lengths), settings, seed=1, epoch=epoch) == planned


def test_context_is_another_clip_of_the_voice_for_about_the_share_asked_for():
    settings = BatchSettings(context_share=0.5)
    corpus = items([40] * 400, voices=4)
    samples = [s for step in steps(corpus, settings, seed=0, epoch=0) for batch in step for s in batch]
    given_context = [s for s in samples if s.context is not None]
    assert 150 < len(given_context) < 250
    for sample in given_context:
        assert sample.context != sample.item
        assert corpus[sample.context].voice == corpus[sample.item].voice
        assert sample.positions == 80


def test_epochs_differ():
    corpus = items(list(range(10, 60)))
    assert steps(corpus, BatchSettings(), seed=0, epoch=0) != steps(corpus, BatchSettings(), seed=0, epoch=1)


def test_batches_of_like_length_waste_little():
    lengths = np.random.default_rng(0).integers(20, 250, 1500).tolist()
    settings = BatchSettings(positions_per_batch=8000, context_share=0.0)
    batches = [batch for step in steps(items(lengths), settings, seed=0, epoch=0) for batch in step]
    filled = sum(len(batch) * max(s.positions for s in batch) for batch in batches)
    assert sum(lengths) / filled > 0.9
