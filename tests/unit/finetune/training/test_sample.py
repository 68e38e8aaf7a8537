from __future__ import annotations

import numpy as np
import pytest

from finetune.training.sample import Sample, depth_count, depth_masks


def sample(text: int, frames: int) -> Sample:
    """Some text, and frames to be learned with their end."""
    sound = np.arange(text + frames + 1) >= text
    end = np.zeros(len(sound), np.bool_)
    end[-1] = True
    return Sample(np.where(sound, -1, 5).astype(np.int32), np.zeros((len(sound), 8), np.int16), sound, end)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01])
def test_each_sample_of_a_batch_has_its_own_share_of_frames_drawn(share: float):
    samples = [sample(4, 9), sample(1, 0), sample(7, 1), sample(2, 30)]
    for seed in range(20):
        masks = depth_masks(samples, share=share, rng=np.random.default_rng(seed))
        for one, mask in zip(samples, masks, strict=True):
            assert len(mask) == len(one)
            assert mask[-1]
            assert not (mask & ~one.target).any()
            assert mask.sum() == depth_count(sound=int(one.target.sum()) - 1, ends=1, share=share)


def test_every_frame_is_drawn_as_often_as_any_other():
    samples = [sample(3, 8), sample(2, 8)]
    rng = np.random.default_rng(0)
    times = sum(np.concatenate(depth_masks(samples, share=0.5, rng=rng)).astype(int) for _ in range(2000))
    drawn = times[np.concatenate([one.target & ~one.end for one in samples])]
    assert drawn.min() > 900
    assert drawn.max() < 1100
