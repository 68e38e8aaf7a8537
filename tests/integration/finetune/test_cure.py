"""The old way and ours on sentences of espeak-ng: the sign of the cure, small enough for a test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.gpu.finetune_cure import Budget, compare, sentences, write_corpus
from tests.unit.finetune.tiny import write_base


@pytest.mark.timeout(400)
def test_ours_stops_where_the_speech_ends_and_the_old_way_goes_on_in_silence(tmp_path: Path):
    corpus = write_corpus(tmp_path / "corpus", sentences(3))
    base = write_base(tmp_path / "base").folder
    budget = Budget(steps=150, learning_rate=5e-3, window_s=5.0, limit_s=8.0, batch=3)
    ours, old = compare(corpus, tmp_path / "work", base, ("ours", "old way"), budget, torch.device("cpu"))
    assert ours.stop_rate == 1.0
    assert ours.frames_per_expected == pytest.approx(1.0, abs=0.15)
    assert ours.silent_share < 0.1
    assert old.stop_rate == 0.0
    assert old.frames_per_expected > 2.0
    assert old.silent_share > 0.3
